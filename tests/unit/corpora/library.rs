//! The NATS library itself, which reads blocks of headers in its connection and nowhere else: a broker of a few
//! lines hands it one, and it either gives out the message or gives up the connection.

use std::time::Duration;

use async_nats::{HeaderMap, Message};
use futures_util::StreamExt;
use sealprove::jetstream::stored_headers;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// If both readings differed, a stranger could break the connection of a service again and again with one message,
/// or have it take a job for unreadable that is a good one.
#[tokio::test]
async fn stored_headers_are_read_exactly_where_the_nats_library_reads_them() {
    let (mut readable, mut unreadable) = (0, 0);
    for path in super::files(&super::corpora().join("stored_headers")) {
        let block = std::fs::read(&path).unwrap();
        // The library is given no block where there is none.
        if block.is_empty() {
            continue;
        }
        let (ours, theirs) = (stored_headers(&block), received(&block).await);
        assert_eq!(ours.as_deref().map(sorted), theirs.as_ref().map(values), "{}", path.display());
        if theirs.is_some() { readable += 1 } else { unreadable += 1 }
    }
    assert!(readable >= 7 && unreadable >= 10, "{readable} are readable, {unreadable} are not");
}

fn sorted(headers: &[(String, String)]) -> Vec<(String, String)> {
    let mut headers = headers.to_vec();
    // Stable: the values of one name stay in their order.
    headers.sort_by(|(one, _), (other, _)| one.cmp(other));
    headers
}

fn values(headers: &HeaderMap) -> Vec<(String, String)> {
    let pairs = headers.iter().flat_map(|(name, values)| {
        let name: &str = name.as_ref();
        values.iter().map(move |value| (name.to_owned(), value.as_str().to_owned()))
    });
    sorted(&pairs.collect::<Vec<_>>())
}

/// The headers that the library reads in a block; `None` where it gives up the connection.
async fn received(block: &[u8]) -> Option<HeaderMap> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let broker = async {
        let (connection, _) = listener.accept().await.unwrap();
        // It leaves, or comes again while its first connection hangs.
        tokio::select! {
            () = hand_over(connection, block) => {}
            _ = listener.accept() => {}
        }
    };
    let client = async {
        let client = async_nats::connect(address).await.unwrap();
        let message: Option<Message> = client.subscribe("headers").await.unwrap().next().await;
        message.map(|message| message.headers.unwrap_or_default())
    };
    tokio::select! {
        headers = client => headers,
        () = broker => None,
        () = tokio::time::sleep(Duration::from_secs(20)) => panic!("neither a message nor the end: {}", block.escape_ascii()),
    }
}

/// Sends the block to the first subscription, and returns when the client has left.
async fn hand_over(mut connection: TcpStream, block: &[u8]) {
    let (reader, mut writer) = connection.split();
    let info = r#"INFO {"server_id":"corpora","version":"2.15.1","headers":true,"max_payload":1048576}"#;
    writer.write_all(format!("{info}\r\n").as_bytes()).await.unwrap();
    let mut lines = BufReader::new(reader).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let reply = match line.split(' ').collect::<Vec<_>>()[..] {
            ["PING"] => b"PONG\r\n".to_vec(),
            ["SUB", subject, .., sid] => {
                let length = block.len();
                let head = format!("HMSG {subject} {sid} {length} {length}\r\n");
                [head.as_bytes(), block, b"\r\n"].concat()
            }
            _ => continue,
        };
        if writer.write_all(&reply).await.is_err() {
            return;
        }
    }
}
