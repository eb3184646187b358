//! The gateway's own numbers, read where an operator reads them: at `/metrics`.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(5);

/// One answer of `/metrics`.
pub(super) struct Metrics(String);

impl Metrics {
    /// Asks the operator's listener at `address`.
    pub(super) async fn read(address: SocketAddr) -> Result<Self> {
        let exchange = async {
            let mut io = TcpStream::connect(address).await?;
            let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
            io.write_all(request.as_bytes()).await?;
            let mut answer = String::new();
            io.read_to_string(&mut answer).await?;
            io::Result::Ok(Self(answer))
        };
        let unreadable = || format!("cannot read http://{address}/metrics");
        timeout(LIMIT, exchange).await.with_context(unreadable)?.with_context(unreadable)
    }

    /// The sum of the series of `name` that carry all `labels`, written as `key="value"`.
    pub(super) fn sum(&self, name: &str, labels: &[&str]) -> u64 {
        let series = self.0.lines().filter_map(|line| {
            let (found, rest) = line.strip_prefix("onebot_gateway_")?.split_once('{')?;
            let (labelled, value) = rest.rsplit_once("} ")?;
            let wanted =
                found == name && labels.iter().all(|label| labelled.split(',').any(|one| one == *label));
            value.parse::<u64>().ok().filter(|_| wanted)
        });
        series.sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_added_up_by_label() {
        let text = "HTTP/1.1 200 OK\r\n\r\n# TYPE x counter\n\
                    onebot_gateway_calls_total{class=\"read\",consumer=\"a\",outcome=\"ok\"} 3\n\
                    onebot_gateway_calls_total{class=\"write\",consumer=\"a\",outcome=\"ok\"} 4\n\
                    onebot_gateway_calls_total{class=\"read\",consumer=\"ab\",outcome=\"failed\"} 10\n\
                    onebot_gateway_calls{consumer=\"a\"} 100\n";
        let metrics = Metrics(text.to_owned());
        assert_eq!(metrics.sum("calls_total", &["consumer=\"a\""]), 7);
        assert_eq!(metrics.sum("calls_total", &["consumer=\"a\"", "class=\"read\""]), 3);
        assert_eq!(metrics.sum("calls_total", &[]), 17);
        assert_eq!(metrics.sum("nothing", &[]), 0);
    }
}
