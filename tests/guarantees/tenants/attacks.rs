//! Attacks of a tenant against another with credentials of its own: to read, to write in its name, to destroy, to
//! replay, to have the broker itself publish by a reply subject. The same list is tried within one account,
//! where much of it must succeed.

use async_nats::HeaderMap;
use sealprove::protocol::JobId;

use super::outcome::Attacker;

/// The attacker's knowledge of its victim: everything that is no secret, and a message besides.
pub(crate) struct Known {
    pub(crate) victim: &'static str,
    pub(crate) attacker: &'static str,
    pub(crate) circuit: &'static str,
    /// A job that has its answer, and its message as it was captured on the way.
    pub(crate) answered: JobId,
    pub(crate) captured: (HeaderMap, Vec<u8>),
    /// A job that waits.
    pub(crate) waiting: JobId,
    /// The prefix of the victim's inboxes.
    pub(crate) inbox: String,
    /// A job of the attacker's own that has its answer.
    pub(crate) own: JobId,
}

/// Everything that does not need a running service. What destroys comes last. What the attacker listens on, it
/// listens on until its connection ends.
pub(crate) async fn all(attacker: &mut Attacker, known: &Known) {
    listen(attacker, known).await;
    read_streams(attacker, known).await;
    read_messages(attacker, known).await;
    write(attacker, known).await;
    redirect(attacker, known).await;
    destroy(attacker, known).await;
}

async fn listen(attacker: &mut Attacker, known: &Known) {
    let Known { victim, inbox, .. } = known;
    for subject in [
        ">".to_owned(),
        "prove.>".to_owned(),
        format!("prove.v1.job.{victim}.>"),
        format!("prove.v1.answer.{victim}.*"),
        format!("prove.v1.live.{victim}.*"),
        "prove.v1.live.*.*".to_owned(),
        "prove.v1.status.*.*".to_owned(),
        format!("prove.v1.cancel.{victim}.*"),
        "prove.v1.bundle".to_owned(),
        "_INBOX.>".to_owned(),
        "*.>".to_owned(),
        format!("{inbox}.>"),
        "_R_.>".to_owned(),
        "$JS.>".to_owned(),
        "$SYS.>".to_owned(),
    ] {
        attacker.listens(&subject).await;
    }
}

/// Asks for streams, consumers and whatever they hand out.
async fn read_streams(attacker: &mut Attacker, known: &Known) {
    let Known { victim, .. } = known;
    let api = "$JS.API";
    let answers = format!("PROVE_ANSWERS_{victim}");
    let asked = [
        ("JetStream's own account of itself", format!("{api}.INFO"), ""),
        ("names of all streams", format!("{api}.STREAM.NAMES"), ""),
        ("all streams", format!("{api}.STREAM.LIST"), ""),
        ("the victim's job stream", format!("{api}.STREAM.INFO.PROVE_JOBS_{victim}"), ""),
        (
            "the victim's answer stream, with its subjects",
            format!("{api}.STREAM.INFO.{answers}"),
            r#"{"subjects_filter":">"}"#,
        ),
        ("consumers of the victim", format!("{api}.CONSUMER.NAMES.PROVE_JOBS_{victim}"), ""),
        ("a consumer of the victim", format!("{api}.CONSUMER.INFO.PROVE_JOBS_{victim}.standard"), ""),
        (
            "the victim's first answer from the leader",
            format!("{api}.STREAM.MSG.GET.{answers}"),
            r#"{"seq":1}"#,
        ),
        (
            "the victim's next job by a pull",
            format!("{api}.CONSUMER.MSG.NEXT.PROVE_JOBS_{victim}.standard"),
            r#"{"batch":1,"no_wait":true}"#,
        ),
        (
            "a copy of the victim's answers",
            format!("{api}.STREAM.SNAPSHOT.{answers}"),
            r#"{"deliver_subject":"_INBOX.x"}"#,
        ),
    ];
    for (what, subject, payload) in asked {
        attacker.asks(&format!("read: {what}"), &subject, payload).await;
    }
}

/// Asks for stored messages without the leader, which needs no right to the stream's own requests.
async fn read_messages(attacker: &mut Attacker, known: &Known) {
    let Known { victim, attacker: own, answered, own: own_job, .. } = known;
    let api = "$JS.API";
    let answers = format!("PROVE_ANSWERS_{victim}");
    let asked = [
        ("the victim's first answer by number", format!("{api}.DIRECT.GET.{answers}"), r#"{"seq":1}"#),
        ("the first state by number", format!("{api}.DIRECT.GET.PROVE_STATUS"), r#"{"seq":1}"#),
        (
            "the victim's answer",
            format!("{api}.DIRECT.GET.{answers}.prove.v1.answer.{victim}.{answered}"),
            "",
        ),
        (
            "the victim's state",
            format!("{api}.DIRECT.GET.PROVE_STATUS.prove.v1.status.{victim}.{answered}"),
            "",
        ),
        (
            "the victim's answer in its own stream's name",
            format!("{api}.DIRECT.GET.PROVE_ANSWERS_{own}.prove.v1.answer.{victim}.{answered}"),
            "",
        ),
        (
            "its own subject in the victim's stream",
            format!("{api}.DIRECT.GET.{answers}.prove.v1.answer.{own}.{answered}"),
            "",
        ),
        (
            "its own state, and many others",
            format!("{api}.DIRECT.GET.PROVE_STATUS.prove.v1.status.{own}.{own_job}"),
            r#"{"multi_last":["prove.v1.status.*.*"]}"#,
        ),
        (
            "its own state, and the first of all",
            format!("{api}.DIRECT.GET.PROVE_STATUS.prove.v1.status.{own}.{own_job}"),
            r#"{"seq":1}"#,
        ),
        (
            "its own state, and the next of anybody",
            format!("{api}.DIRECT.GET.PROVE_STATUS.prove.v1.status.{own}.{own_job}"),
            r#"{"next_by_subj":">","batch":10}"#,
        ),
        ("any state by a wildcard", format!("{api}.DIRECT.GET.PROVE_STATUS.prove.v1.status.*.*"), ""),
    ];
    for (what, subject, payload) in asked {
        attacker.asks(&format!("read: {what}"), &subject, payload).await;
    }
}

async fn write(attacker: &mut Attacker, known: &Known) {
    let Known { victim, attacker: own, circuit, waiting, answered, captured, .. } = known;
    let (headers, payload) = captured;
    let fresh = JobId::random();
    let job = format!("prove.v1.job.{victim}.standard.{circuit}.");
    let mut forged = HeaderMap::new();
    for (name, value) in
        [("Sealprove-Version", "1"), ("Sealprove-Outcome", "refused"), ("Sealprove-Code", "INVALID_WITNESS")]
    {
        forged.insert(name, value);
    }
    let empty = HeaderMap::new();
    let sent = [
        ("a new job in the victim's name", format!("{job}{fresh}"), headers, &payload[..]),
        ("the captured job once more", format!("{job}{answered}"), headers, payload),
        ("an answer to the job that waits", format!("prove.v1.answer.{victim}.{waiting}"), &forged, b"{}"),
        (
            "an answer to nothing, to fill the stream",
            format!("prove.v1.answer.{victim}.{fresh}"),
            &forged,
            b"{}",
        ),
        ("a state of the job that waits", format!("prove.v1.status.{victim}.{waiting}"), &empty, b"{}"),
        ("a wake-up", format!("prove.v1.live.{victim}.{waiting}"), &forged, b""),
        ("a message into the victim's inbox", format!("{}.forged.1", known.inbox), &empty, b"forged"),
        (
            "the captured job under its own name",
            format!("prove.v1.job.{own}.standard.{circuit}.{answered}"),
            headers,
            payload,
        ),
        (
            "its own job with the id of the one that waits",
            format!("prove.v1.job.{own}.standard.{circuit}.{waiting}"),
            headers,
            payload,
        ),
        (
            "an end to a delivery of the victim",
            format!("$JS.ACK.PROVE_JOBS_{victim}.standard.1.2.2.1800000000000000000.0"),
            &empty,
            b"+TERM",
        ),
        (
            "the same in its newer form",
            format!("$JS.ACK._.hash.PROVE_JOBS_{victim}.standard.1.2.2.1800000000000000000.0"),
            &empty,
            b"+TERM",
        ),
    ];
    for (what, subject, headers, payload) in sent {
        attacker.sends(&format!("write: {what}"), &subject, None, headers.clone(), payload).await;
    }
}

/// The broker answers where the request says. Its answers: the acknowledgement of a job, a stored answer, and
/// that there is none, which is empty.
async fn redirect(attacker: &mut Attacker, known: &Known) {
    let Known { victim, attacker: own, circuit, waiting, own: own_job, captured, .. } = known;
    let fresh = JobId::random();
    let targets = [
        ("an answer to the job that waits", format!("prove.v1.answer.{victim}.{waiting}")),
        ("a job of the victim", format!("prove.v1.job.{victim}.standard.{circuit}.{fresh}")),
        ("a state of the victim", format!("prove.v1.status.{victim}.{fresh}")),
        ("the victim's inbox", format!("{}.redirected.1", known.inbox)),
        ("a wake-up of the victim", format!("prove.v1.live.{victim}.{waiting}")),
        (
            "the end of a delivery",
            format!("$JS.ACK.PROVE_JOBS_{victim}.standard.1.2.2.1800000000000000000.0"),
        ),
        ("the reply to another", "_R_.abcdef.ghijkl".to_owned()),
        ("purging the victim's jobs", format!("$JS.API.STREAM.PURGE.PROVE_JOBS_{victim}")),
        ("deleting a consumer of the victim", format!("$JS.API.CONSUMER.DELETE.PROVE_JOBS_{victim}.express")),
        ("deleting the victim's job stream", format!("$JS.API.STREAM.DELETE.PROVE_JOBS_{victim}")),
    ];
    let direct = format!("$JS.API.DIRECT.GET.PROVE_ANSWERS_{own}.prove.v1.answer.{own}.");
    for (target, reply) in targets {
        let job = format!("prove.v1.job.{own}.standard.{circuit}.{}", JobId::random());
        let vehicles = [
            ("acknowledgement", job, captured.0.clone(), captured.1.clone()),
            ("its own answer", format!("{direct}{own_job}"), HeaderMap::new(), Vec::new()),
            ("an empty answer", format!("{direct}{fresh}"), HeaderMap::new(), Vec::new()),
        ];
        for (vehicle, subject, headers, payload) in vehicles {
            let what = format!("redirect: {vehicle} becomes {target}");
            attacker.sends(&what, &subject, Some(&reply), headers, &payload).await;
        }
    }
}

async fn destroy(attacker: &mut Attacker, known: &Known) {
    let Known { victim, .. } = known;
    let jobs = format!("PROVE_JOBS_{victim}");
    let consumer = format!(
        r#"{{"stream_name":"PROVE_ANSWERS_{victim}","config":{{"deliver_subject":"stolen","deliver_policy":"all","ack_policy":"none"}}}}"#
    );
    let asked = [
        ("erase the victim's job", format!("STREAM.MSG.DELETE.{jobs}"), r#"{"seq":2}"#.to_owned()),
        (
            "pause the victim's consumer",
            format!("CONSUMER.PAUSE.{jobs}.standard"),
            r#"{"pause_until":"2099-01-01T00:00:00Z"}"#.to_owned(),
        ),
        ("have answers pushed to itself", format!("CONSUMER.CREATE.PROVE_ANSWERS_{victim}"), consumer),
        (
            "a stream over every tenant's subjects",
            "STREAM.CREATE.MINE".to_owned(),
            r#"{"name":"MINE","subjects":["prove.v1.live.>"]}"#.to_owned(),
        ),
        (
            "a mirror of the victim's answers",
            "STREAM.CREATE.MIRROR".to_owned(),
            format!(r#"{{"name":"MIRROR","mirror":{{"name":"PROVE_ANSWERS_{victim}"}}}}"#),
        ),
        (
            "change the victim's stream",
            format!("STREAM.UPDATE.{jobs}"),
            format!(r#"{{"name":"{jobs}","max_msgs":1}}"#),
        ),
        ("depose a leader", format!("STREAM.LEADER.STEPDOWN.{jobs}"), String::new()),
        ("delete the victim's consumer", format!("CONSUMER.DELETE.{jobs}.standard"), String::new()),
        ("purge the victim's jobs", format!("STREAM.PURGE.{jobs}"), String::new()),
        ("purge the victim's account", format!("ACCOUNT.PURGE.{victim}"), String::new()),
        ("delete the victim's jobs", format!("STREAM.DELETE.{jobs}"), String::new()),
        ("delete the victim's answers", format!("STREAM.DELETE.PROVE_ANSWERS_{victim}"), String::new()),
    ];
    for (what, subject, payload) in asked {
        attacker.asks(&format!("destroy: {what}"), &format!("$JS.API.{subject}"), &payload).await;
    }
}
