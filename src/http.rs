//! As much of HTTP as asking a neighbour takes: one request, one answer, the end of the connection. Plain, for
//! addresses inside: an admin address, a server's monitoring, a collector of traces next door.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: u64 = 1 << 20;
/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(3);

/// What is there at `http://<address><path>`.
///
/// # Errors
/// When there is no answer in time, or another than 200.
pub(crate) async fn get(address: &str, path: &str) -> io::Result<Vec<u8>> {
    in_time(exchange(address, format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").into_bytes())).await
}

/// Gives JSON to `http://<address><path>`.
///
/// # Errors
/// When there is no answer in time, or another than 200.
pub(crate) async fn post(address: &str, path: &str, json: &[u8]) -> io::Result<Vec<u8>> {
    let head = format!(
        "POST {path} HTTP/1.0\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        json.len()
    );
    in_time(exchange(address, [head.as_bytes(), json].concat())).await
}

async fn in_time(exchanged: impl Future<Output = io::Result<Vec<u8>>>) -> io::Result<Vec<u8>> {
    let late = || io::Error::new(io::ErrorKind::TimedOut, "no answer in time");
    tokio::time::timeout(TIMEOUT, exchanged).await.map_err(|_| late())?
}

/// Version 1.0 (RFC 1945): the answer comes in one piece, and the connection ends with it.
async fn exchange(address: &str, request: Vec<u8>) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(&request).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.ok_or_else(|| io::Error::other("the answer is no HTTP"))?;
    match answer[..end].split(|byte| *byte == b' ').nth(1) {
        Some(b"200") => Ok(answer.split_off(end + 4)),
        status => {
            let status = String::from_utf8_lossy(status.unwrap_or_default()).into_owned();
            Err(io::Error::other(format!("it answers {status:.8}")))
        }
    }
}
