//! Reading and writing witness documents.
//!
//! A document is read field by field from slices of the witness itself, so that no copy of a secret is
//! left behind, and so that an error can say where and why without serde's own message, which holds
//! the offending value. Unknown fields and repeated fields are refused; the name of an unknown field is
//! the sender's text and is not repeated.

use std::borrow::Cow;
use std::fmt;

use ff::PrimeField;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::Base;
use super::field::{self, Element};
use crate::circuit::InvalidWitness;
use crate::secret::Witness;

/// The fields of a document, each still as its text.
pub(super) struct Fields<'a>(Vec<(&'a str, &'a RawValue)>);

impl<'a> Fields<'a> {
    /// Splits a document of at most `bytes_max` into its fields: all of `names`, each once, and no
    /// other.
    pub(super) fn read(
        document: &'a [u8],
        bytes_max: u32,
        names: &[&'static str],
    ) -> Result<Self, InvalidWitness> {
        if document.len() > bytes_max as usize {
            return Err(InvalidWitness::whole("larger than this circuit's limit"));
        }
        let fields: Fields<'a> =
            serde_json::from_slice(document).map_err(|_| InvalidWitness::whole(why_no_object(document)))?;
        if fields.0.iter().any(|(name, _)| !names.contains(name)) {
            return Err(InvalidWitness::whole("has a field that the schema does not have"));
        }
        for name in names {
            match fields.0.iter().filter(|(given, _)| given == name).count() {
                0 => return Err(InvalidWitness::at(*name, "missing")),
                1 => {}
                _ => return Err(InvalidWitness::at(*name, "given more than once")),
            }
        }
        Ok(fields)
    }

    /// A field element.
    pub(super) fn element(&self, name: &'static str) -> Result<Base, InvalidWitness> {
        element(name, self.get(name))
    }

    /// Exactly `N` field elements.
    pub(super) fn elements<const N: usize>(&self, name: &'static str) -> Result<[Base; N], InvalidWitness> {
        let items: Vec<&RawValue> = serde_json::from_str(self.get(name).get())
            .map_err(|_| InvalidWitness::at(name, "expected an array of field elements"))?;
        if items.len() != N {
            return Err(InvalidWitness::at(name, "has the wrong number of elements"));
        }
        let mut elements = [Base::zero(); N];
        for (index, item) in items.into_iter().enumerate() {
            elements[index] = element(&format!("{name}[{index}]"), item)?;
        }
        Ok(elements)
    }

    /// A 64-bit number in a string.
    pub(super) fn decimal(&self, name: &'static str) -> Result<u64, InvalidWitness> {
        const EXPECTED: &str = "expected a number below 2^64 in a string: decimal digits, no leading zero";
        let invalid = || InvalidWitness::at(name, EXPECTED);
        let text = text(self.get(name)).ok_or_else(invalid)?;
        let canonical = text == "0" || (!text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit()));
        text.parse().ok().filter(|_| canonical).ok_or_else(invalid)
    }

    /// A 32-bit JSON number.
    pub(super) fn number(&self, name: &'static str) -> Result<u32, InvalidWitness> {
        serde_json::from_str(self.get(name).get())
            .map_err(|_| InvalidWitness::at(name, "expected a whole JSON number below 2^32"))
    }

    fn get(&self, name: &str) -> &'a RawValue {
        let field = self.0.iter().find(|(given, _)| *given == name);
        field.expect("Cannot panic: `read` found each name that its caller asks for").1
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
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

        deserializer.deserialize_map(Entries).map(Fields)
    }
}

/// Why a document has no fields to read: a fixed text, and never a word of the document.
fn why_no_object(document: &[u8]) -> &'static str {
    let trimmed = document.trim_ascii_start();
    if trimmed.is_empty() {
        return "empty: expected one JSON object";
    }
    let mut json = serde_json::Deserializer::from_slice(trimmed);
    // Skipped over in place, so that this makes no copy either.
    if IgnoredAny::deserialize(&mut json).is_err() {
        return "not JSON: expected one JSON object";
    }
    if json.end().is_err() {
        return "more than one JSON object: expected nothing after it";
    }
    if str::from_utf8(trimmed).is_err() {
        return "not JSON: expected UTF-8";
    }
    if !trimmed.starts_with(b"{") {
        return "not an object: expected one JSON object";
    }
    "a field's name is written with an escape: expected plain names"
}

fn element(path: &str, value: &RawValue) -> Result<Base, InvalidWitness> {
    let mut bytes = Zeroizing::new([0; Element::BYTES]);
    text(value).and_then(|text| field::decode_hex(text, &mut bytes)).ok_or_else(|| {
        InvalidWitness::at(path, "expected 0x and 64 lower-case hexadecimal digits in a string")
    })?;
    field::canonical(&bytes).map_err(|_| {
        InvalidWitness::at(path, "not canonical: expected a little-endian number below the modulus")
    })
}

/// The text of a JSON string that has no escapes: no spelling that we take needs one.
fn text(value: &RawValue) -> Option<&str> {
    serde_json::from_str(value.get()).ok()
}

/// Writes a document into a buffer of its final size.
pub(super) fn write(document: &impl Serialize, bytes_max: u32) -> Witness {
    let mut bytes = Vec::with_capacity(bytes_max as usize);
    serde_json::to_writer(&mut bytes, document)
        .expect("Cannot panic: a vector takes every byte, and no map has a key that is not a string");
    Witness::from_vec(bytes)
}

/// A field element in a document.
pub(super) struct Hex(pub(super) Base);

impl Drop for Hex {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const DIGITS: usize = 2 * Element::BYTES;
        let mut text = Zeroizing::new(*b"0x0000000000000000000000000000000000000000000000000000000000000000");
        let bytes = Zeroizing::new(self.0.to_repr());
        hex::encode_to_slice(*bytes, &mut text[2..2 + DIGITS]).expect("Cannot panic: two digits a byte");
        serializer.serialize_str(str::from_utf8(&*text).expect("Cannot panic: hexadecimal digits are UTF-8"))
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

/// A 64-bit number in a document.
pub(super) struct Decimal(pub(super) u64);

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
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
