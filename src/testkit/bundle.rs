//! A client's judgement of a signed bundle, and the key that it seals to.

use super::{File, counted, judge_all};
use crate::protocol::{BundleError, Scheme, SignedBundle};

fn verdict(file: &File) -> String {
    let signed = SignedBundle::from_json(&file.base64("signed"));
    let verified = signed
        .and_then(|signed| signed.verify(file.parsed("identity"), file.parsed("now"), file.parsed("seen")));
    let refused = match verified {
        Ok(_) if !file.is_success() => return "accepted".to_owned(),
        Ok(bundle) => {
            let chosen = bundle.key_for(&Scheme::STRONGEST_FIRST, file.parsed("now"), file.parsed("expires"));
            assert_eq!(chosen.map_or("none", |key| key.id.as_str()), file.one("chosen"), "{}", file.name);
            assert_eq!(bundle.serial, file.parsed::<u64>("serial"), "{}", file.name);
            return "accepted".to_owned();
        }
        Err(BundleError::Malformed(_)) => "malformed",
        Err(BundleError::Signature(_)) => "signature",
        Err(BundleError::Expired(_)) => "expired",
        Err(BundleError::Rollback { .. }) => "rollback",
    };
    format!("refused-{refused}")
}

#[test]
fn bundles_are_accepted_as_their_vectors_say() {
    let expected = counted(&[
        ("accepted", 39),
        ("refused-expired", 4),
        ("refused-malformed", 159),
        ("refused-rollback", 4),
        ("refused-signature", 33),
    ]);
    assert_eq!(judge_all("bundle", verdict), expected);
}
