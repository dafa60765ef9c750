//! Closed sets: enums whose values have fixed names, the same in subjects, headers, documents, metric labels and logs.
//!
//! One declaration gives the values, their list, and every way to write and to read a name, so no two of them can
//! differ. A general derive (strum) would have each name stated twice: once for it, and once for serde.

/// Declares a closed set. The text after its identifier names one value of it in errors. Its file imports `BadName`.
macro_rules! closed_set {
    ($(#[$doc:meta])* $vis:vis $set:ident, $what:literal {
        $(#[$first_doc:meta])* $first:ident = $first_text:literal,
        $($(#[$value_doc:meta])* $value:ident = $text:literal,)*
    }) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash,
            ::serde::Serialize, ::serde::Deserialize, ::schemars::JsonSchema,
        )]
        $vis enum $set {
            $(#[$first_doc])* #[serde(rename = $first_text)] $first,
            $($(#[$value_doc])* #[serde(rename = $text)] $value,)*
        }

        impl $set {
            /// All values, in the order of their declaration.
            $vis const ALL: [$set; [$first_text, $($text,)*].len()] = [$set::$first, $($set::$value,)*];

            /// Returns the name.
            $vis fn as_str(self) -> &'static str {
                match self {
                    $set::$first => $first_text,
                    $($set::$value => $text,)*
                }
            }
        }

        impl ::std::str::FromStr for $set {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                let shape = concat!("one of ", $first_text, $(", ", $text,)*);
                let found = Self::ALL.into_iter().find(|value| value.as_str() == text);
                found.ok_or(BadName::new($what, shape))
            }
        }

        impl ::std::fmt::Display for $set {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
