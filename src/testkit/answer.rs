//! A client's judgement of a message on its answer's subject.

use super::{File, counted, judge_all};

use crate::protocol::{Answer, AnswerBinding, AnswerHeader, AnswerSecret, JobSubject, Lane, believe};

fn verdict(file: &File) -> String {
    let hint = "hint".to_owned();
    let header =
        AnswerHeader::parse(|name| file.headers().find(|header| header.0 == name).map(|header| header.1));
    let Some(header) = header else { return hint };
    let (info, enc) = (file.base64("info"), file.base64("enc"));
    let secret = AnswerSecret::from_bytes(file.hex("answer-secret"));
    let binding = AnswerBinding { info: &info, enc: &enc, secret: &secret };
    let subject = JobSubject {
        tenant: file.parsed("tenant"),
        lane: Lane::Standard,
        circuit: file.parsed("circuit"),
        job: file.parsed("job"),
    };
    let payload = file.base64("payload");
    let Some(answer) = believe(&subject, file.parsed("asked"), &binding, &header, &payload) else {
        return hint;
    };
    if file.is_success() {
        assert_eq!(
            serde_json::from_slice::<Answer>(&file.base64("document")).unwrap(),
            answer,
            "{}",
            file.name
        );
    }
    "answer".to_owned()
}

#[test]
fn answers_are_believed_as_their_vectors_say() {
    let expected = counted(&[("answer", 26), ("hint", 344)]);
    assert_eq!(judge_all("answer", verdict), expected);
}
