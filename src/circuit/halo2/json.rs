//! Witness documents in JSON: reading and writing them without leaving copies of a secret behind, and without
//! repeating a word of them in an error.
//!
//! [`read`] takes a type that derives `Deserialize`, and refuses a document as a whole. [`fields`] takes a
//! document apart by name, so that an error names the field that is wrong. Both refuse unknown fields (with
//! [`read`], a type says so by `#[serde(deny_unknown_fields)]`), repeated fields, and anything behind the
//! object. `serde_json` puts the offending value into its messages, so those stop here: a reason is fixed
//! text, and a path consists of the names that the circuit itself asked for.

use std::borrow::Cow;
use std::fmt;

use ff::PrimeField;
use pasta_curves::pallas::Base;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use zeroize::{Zeroize, Zeroizing};

use super::field::{self, Element};
use crate::circuit::error::InvalidWitness;
use crate::secret::Witness;

/// Reads a document whose type derives `Deserialize`.
///
/// Give the type `#[serde(deny_unknown_fields)]`. A `String` or a `Vec` in it is a copy of that part of the
/// witness: have the type wipe it on drop.
///
/// # Errors
/// Refuses the whole document when it is not an object of that type. Which field is wrong is left out:
/// `serde` names it only beside its value. Use [`fields`] where clients need to know.
pub fn read<T: DeserializeOwned>(document: &[u8]) -> Result<T, InvalidWitness> {
    // serde_json quotes the value that it did not expect, so its error is dropped. The document is read a
    // second time to find a reason in fixed text.
    serde_json::from_slice(document).map_err(|_| {
        InvalidWitness::whole(
            syntax_error(document)
                .unwrap_or("does not fit the schema: expected each of its fields once, and no other"),
        )
    })
}

/// Splits a document into its fields: all of `names`, each once, and no other. The values are slices of the
/// document itself.
///
/// ```
/// use sealprove::circuit::InvalidWitness;
/// use sealprove::circuit::halo2::json;
///
/// let [age, limit] = json::fields(br#"{"age": "42", "limit": 18}"#, ["age", "limit"])?;
/// assert_eq!((age.decimal()?, limit.number()?), (42, 18));
///
/// let refused = json::fields(br#"{"age": "42"}"#, ["age", "limit"]).err();
/// assert_eq!(refused, Some(InvalidWitness::at("limit", "missing")));
/// # Ok::<(), InvalidWitness>(())
/// ```
///
/// # Errors
/// Names the first field that is missing or repeated; refuses the whole document when it is not such an
/// object. The name of an unknown field is the sender's text and is not repeated.
pub fn fields<'a, const N: usize>(
    document: &'a [u8],
    names: [&'static str; N],
) -> Result<[Field<'a>; N], InvalidWitness> {
    const ESCAPED: &str = "a field's name is written with an escape: expected plain names";
    // Names are borrowed from the document, and a name with an escape cannot be: it has to be unescaped
    // first. No other JSON object fails here.
    let Entries(entries) = serde_json::from_slice(document)
        .map_err(|_| InvalidWitness::whole(syntax_error(document).unwrap_or(ESCAPED)))?;
    // Refused and not skipped: a client that sends more fields expects them to count.
    if entries.iter().any(|(name, _)| !names.contains(name)) {
        return Err(InvalidWitness::whole("has a field that the schema does not have"));
    }
    let mut fields = Vec::with_capacity(N);
    for name in names {
        let mut values = entries.iter().filter(|(given, _)| *given == name);
        // JSON leaves open which of two equal names counts, and readers differ. Neither is taken.
        match (values.next(), values.next()) {
            (Some((_, value)), None) => fields.push(Field { name, value }),
            (Some(_), Some(_)) => return Err(InvalidWitness::at(name, "given more than once")),
            (None, _) => return Err(InvalidWitness::at(name, "missing")),
        }
    }
    // Cannot panic: the loop pushed one field for each of the N names.
    Ok(fields.try_into().unwrap_or_else(|_| unreachable!("a field for each name")))
}

/// One field of a document, still as its text.
#[derive(Clone, Copy)]
pub struct Field<'a> {
    name: &'static str,
    value: &'a RawValue,
}

impl<'a> Field<'a> {
    /// Reads a field element: `0x` and 64 lower-case hexadecimal digits, as [`Hex`] writes it.
    ///
    /// # Errors
    /// Fails for any other spelling, and for a number that is not below the modulus.
    pub fn element(self) -> Result<Base, InvalidWitness> {
        element(self.value).map_err(|reason| InvalidWitness::at(self.name, reason))
    }

    /// Reads an array of exactly `N` field elements.
    ///
    /// # Errors
    /// Fails when it is not such an array; an error in an element has its index in the path.
    pub fn elements<const N: usize>(self) -> Result<[Base; N], InvalidWitness> {
        // Slices of the document: strings would be copies of the secret elements.
        let items: Vec<&RawValue> = serde_json::from_str(self.value.get())
            .map_err(|_| InvalidWitness::at(self.name, "expected an array of field elements"))?;
        if items.len() != N {
            return Err(InvalidWitness::at(self.name, "has the wrong number of elements"));
        }
        let mut elements = [Base::zero(); N];
        for (index, item) in items.into_iter().enumerate() {
            elements[index] = element(item)
                .map_err(|reason| InvalidWitness::at(format!("{}[{index}]", self.name), reason))?;
        }
        Ok(elements)
    }

    /// Reads a 64-bit number in a string, as [`Decimal`] writes it. A JSON number is a double to most readers
    /// and would lose its low bits.
    ///
    /// # Errors
    /// Fails for any other spelling.
    pub fn decimal(self) -> Result<u64, InvalidWitness> {
        text(self.value).and_then(parse_decimal).ok_or_else(|| InvalidWitness::at(self.name, DECIMAL))
    }

    /// Reads a 32-bit JSON number.
    ///
    /// # Errors
    /// Fails for anything else.
    pub fn number(self) -> Result<u32, InvalidWitness> {
        serde_json::from_str(self.value.get())
            .map_err(|_| InvalidWitness::at(self.name, "expected a whole JSON number below 2^32"))
    }

    /// Returns the JSON text of the value, for a spelling that has no method here.
    pub fn json(self) -> &'a str {
        self.value.get()
    }
}

/// The entries of an object, in the order in which they were written.
struct Entries<'a>(Vec<(&'a str, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;

        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Vec<(&'de str, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(entries)
            }
        }

        deserializer.deserialize_map(EntriesVisitor).map(Entries)
    }
}

/// Returns the reason why a document is not a single JSON object, as fixed text, or `None` if it is one.
fn syntax_error(document: &[u8]) -> Option<&'static str> {
    let trimmed = document.trim_ascii_start();
    if trimmed.is_empty() {
        return Some("empty: expected one JSON object");
    }
    let mut json = serde_json::Deserializer::from_slice(trimmed);
    // `IgnoredAny` skips over the text in place and makes no copy of it.
    if IgnoredAny::deserialize(&mut json).is_err() {
        return Some("not JSON: expected one JSON object");
    }
    if json.end().is_err() {
        return Some("more than one JSON object: expected nothing after it");
    }
    // `IgnoredAny` skips strings without looking at their encoding.
    if str::from_utf8(trimmed).is_err() {
        return Some("not JSON: expected UTF-8");
    }
    (!trimmed.starts_with(b"{")).then_some("not an object: expected one JSON object")
}

const DECIMAL: &str = "expected a number below 2^64 in a string: decimal digits, no leading zero";
const HEX: &str = "expected 0x and 64 lower-case hexadecimal digits in a string";
const CANONICAL: &str = "not canonical: expected a little-endian number below the modulus";

/// Reads a field element, or returns the reason why it is none.
fn element(value: &RawValue) -> Result<Base, &'static str> {
    parse_element(text(value).ok_or(HEX)?)
}

fn parse_element(text: &str) -> Result<Base, &'static str> {
    let mut bytes = Zeroizing::new([0; Element::BYTES]);
    field::decode_hex(text, &mut bytes).ok_or(HEX)?;
    field::canonical(&bytes).map_err(|_| CANONICAL)
}

fn parse_decimal(text: &str) -> Option<u64> {
    // `parse` takes a plus sign and leading zeros as well, which would give one number many spellings.
    let canonical = text == "0" || (!text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit()));
    text.parse().ok().filter(|_| canonical)
}

/// Borrows the text of a JSON string without escapes. No accepted spelling needs an escape, and unescaping
/// would copy the text.
fn text(value: &RawValue) -> Option<&str> {
    serde_json::from_str(value.get()).ok()
}

/// Writes a document into a buffer of `bytes_max` bytes, which a document of this circuit never exceeds:
/// growing the buffer would leave the secret in the old block.
pub fn write(document: &impl Serialize, bytes_max: u32) -> Witness {
    let mut bytes = Vec::with_capacity(bytes_max as usize);
    // Cannot panic: a vector takes every byte, and no map of a document has keys other than strings.
    serde_json::to_writer(&mut bytes, document).expect("a document becomes JSON");
    Witness::from_vec(bytes)
}

/// A field element in a document: `0x` and the 64 lower-case hexadecimal digits of its 32 bytes,
/// little-endian. Wiped on drop.
pub struct Hex(pub Base);

impl Drop for Hex {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const DIGITS: usize = 2 * Element::BYTES;
        // `hex::encode` would return the secret's digits in a `String`, which does not wipe itself.
        let mut text = Zeroizing::new(*b"0x0000000000000000000000000000000000000000000000000000000000000000");
        let bytes = Zeroizing::new(self.0.to_repr());
        // Cannot panic: each byte has two digits, and digits are ASCII.
        hex::encode_to_slice(*bytes, &mut text[2..2 + DIGITS]).expect("two digits a byte");
        serializer.serialize_str(str::from_utf8(&*text).expect("hexadecimal digits"))
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Borrowed: a `String` would be a copy of the secret that does not wipe itself.
        parse_element(<&str>::deserialize(deserializer)?).map(Hex).map_err(D::Error::custom)
    }
}

impl JsonSchema for Hex {
    fn schema_name() -> Cow<'static, str> {
        "FieldElement".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An element of Pallas' base field: its 32 bytes, little-endian, below the modulus.",
            "type": "string",
            "pattern": "^0x[0-9a-f]{64}$",
        })
    }
}

/// A 64-bit number in a document: a string of decimal digits.
pub struct Decimal(pub u64);

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = parse_decimal(<&str>::deserialize(deserializer)?);
        number.map(Decimal).ok_or_else(|| D::Error::custom(DECIMAL))
    }
}

impl JsonSchema for Decimal {
    fn schema_name() -> Cow<'static, str> {
        "Decimal".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number below 2^64, in decimal digits.",
            "type": "string",
            "pattern": "^(0|[1-9][0-9]{0,19})$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Document {
        secret: Hex,
        amount: Decimal,
    }

    const ONE: &str = "0x0100000000000000000000000000000000000000000000000000000000000000";

    fn refusal(document: &str) -> &'static str {
        let refused = read::<Document>(document.as_bytes()).err().expect("is refused");
        assert_eq!(refused.path, "witness");
        refused.reason
    }

    #[test]
    fn a_derived_type_reads_what_it_writes() {
        let written = write(&Document { secret: Hex(Base::one()), amount: Decimal(u64::MAX) }, 256);
        let read: Document = read(written.expose()).unwrap();
        assert_eq!((read.secret.0, read.amount.0), (Base::one(), u64::MAX));
        assert!(written.expose().windows(ONE.len()).any(|window| window == ONE.as_bytes()));
    }

    #[test]
    fn a_derived_type_refuses_documents_by_fixed_text() {
        const SCHEMA: &str = "does not fit the schema: expected each of its fields once, and no other";
        let document = |secret: &str, amount: &str| format!(r#"{{"secret":"{secret}","amount":"{amount}"}}"#);
        assert!(read::<Document>(document(ONE, "7").as_bytes()).is_ok());
        for misfit in [
            document(ONE, "07"),
            document(ONE, "18446744073709551616"),
            document(&ONE[2..], "7"),
            document(&ONE.replacen("01", "0A", 1), "7"),
            document(&format!("0x{}", "ff".repeat(32)), "7"),
            document(ONE, "7").replacen('{', r#"{"attack at dawn":1,"#, 1),
            document(ONE, "7").replacen('{', r#"{"amount":"7","#, 1),
            "{}".to_owned(),
        ] {
            assert_eq!(refusal(&misfit), SCHEMA, "{misfit}");
        }
        assert_eq!(refusal(""), "empty: expected one JSON object");
        assert_eq!(refusal("attack at dawn"), "not JSON: expected one JSON object");
        assert_eq!(refusal("[]"), "not an object: expected one JSON object");
        assert_eq!(refusal("{}{}"), "more than one JSON object: expected nothing after it");
    }
}
