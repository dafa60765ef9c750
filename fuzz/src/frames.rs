//! Frames between the service and the chamber, as either side reads them.

use std::fmt::Debug;

use sealprove::frame::{
    self, BODY_BYTES_MAX, ChamberEvent, HEAD_BYTES_MAX, JobHead, ORDER_BYTES, Order, PREFIX_BYTES, ReplyHead,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A job's connection as the chamber and then its job process read it: an order, and a frame.
pub fn of_job(data: &[u8]) {
    let Some((bytes, rest)) = data.split_first_chunk::<ORDER_BYTES>() else { return };
    if let Some(order) = Order::from_bytes(bytes) {
        assert_eq!(order.to_bytes(), *bytes, "an order has one spelling");
        assert!(order.threads > 0, "a job has a thread");
    }
    read::<JobHead>(rest);
}

/// The same connection as the service reads it, from a process that may be a stranger's by then.
pub fn of_reply(data: &[u8]) {
    let Some((head, ..)) = read::<ReplyHead>(data) else { return };
    // The service puts both into headers.
    for value in [Some(&head.content_type), head.tag.as_ref()].into_iter().flatten() {
        assert!(value.len() <= 256, "{} bytes for a header", value.len());
        assert!(value.bytes().all(|byte| matches!(byte, b' '..=b'~')), "no header's value: {value:?}");
        assert_eq!(value.trim(), value, "white space around a header's value is lost on its way");
    }
}

/// The control connection: one event after the other.
pub fn of_events(mut data: &[u8]) {
    while let Some((_, _, rest)) = read::<ChamberEvent>(data) {
        data = rest;
    }
}

/// Reads a frame as both sides do; gives its head, its body, and what follows.
fn read<T>(data: &[u8]) -> Option<(T, &[u8], &[u8])>
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let (prefix, rest) = data.split_first_chunk::<PREFIX_BYTES>()?;
    let (head_bytes, body_bytes) = lengths(*prefix)?;
    let (head, rest) = rest.split_at_checked(head_bytes)?;
    let (body, rest) = rest.split_at_checked(body_bytes)?;
    let head: T = frame::head(head).ok()?;
    assert_eq!(written_and_read(&head, body), Some((frame::head(&json(&head)).unwrap(), body.to_vec())));
    Some((head, body, rest))
}

/// The lengths, which are judged before anything is allocated: refused exactly where one is over its limit.
fn lengths(prefix: [u8; PREFIX_BYTES]) -> Option<(usize, usize)> {
    let (head, body) = prefix.split_at(PREFIX_BYTES / 2);
    let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    let within = number(head) <= HEAD_BYTES_MAX && number(body) <= BODY_BYTES_MAX;
    let read = frame::lengths(prefix).ok();
    assert_eq!(read, within.then_some((number(head), number(body))));
    read
}

fn json(head: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(head).unwrap()
}

/// What comes of a frame that is written anew.
fn written_and_read<T>(head: &T, body: &[u8]) -> Option<(T, Vec<u8>)>
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let frame = frame::encode(head, body);
    let (prefix, rest) = frame.split_first_chunk::<PREFIX_BYTES>()?;
    let (head_bytes, body_bytes) = frame::lengths(*prefix).ok()?;
    assert_eq!(rest.len(), head_bytes + body_bytes);
    let again: T = frame::head(&rest[..head_bytes]).ok()?;
    assert_eq!(again, *head);
    Some((again, rest[head_bytes..].to_vec()))
}
