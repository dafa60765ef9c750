//! Closed sets: enums whose values have fixed names, in headers, documents and metric labels.

/// Declares an enum with the list of its values and the name of each.
macro_rules! closed_set {
    ($(#[$doc:meta])* $set:ident { $($(#[$value_doc:meta])* $value:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $set {
            $($(#[$value_doc])* $value,)*
        }

        impl $set {
            /// All of them.
            pub const ALL: &'static [$set] = &[$($set::$value,)*];

            /// Its name as a label.
            pub fn as_str(self) -> &'static str {
                match self { $($set::$value => $text,)* }
            }
        }
    };
}
