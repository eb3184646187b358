//! Nothing that is secret is ever said.

use std::net::SocketAddr;

use onebot_gateway::simulator::{self, Simulator};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::support::daemon::{Daemon, PORTS_AND_LOG, output};
use crate::support::http::{get, shake_hands};
use crate::support::metrics::Metrics;
use crate::support::server::Server;
use crate::support::wire::Wire;
use crate::support::{anywhere, call};

/// Every secret of the test contains this, and nothing else does.
const MARK: &str = "hunter2";

fn secret(whose: &str) -> String {
    format!("{MARK}-of-{whose}-0123456789")
}

/// An answer that repeats all it was told, as some web servers do in their error pages.
fn parrot(request: &str) -> String {
    let line = request.replace("\r\n", " ");
    format!("HTTP/1.1 404 Not Found\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{line}", line.len())
}

#[tokio::test]
async fn no_secret_in_any_log_or_error() {
    let simulator = Simulator::start(simulator::Config {
        listen: Some(anywhere()),
        token: secret("llonebot"),
        ..Default::default()
    })
    .await
    .unwrap();
    let (bot_that_listens, bot_that_parrots) = (Server::start().await, Server::start().await);
    let listening = [simulator.address().unwrap(), bot_that_listens.address(), bot_that_parrots.address()];
    let mut daemon = Daemon::start(&full_of_secrets(listening)).await;
    daemon.admin.ready().await;

    // A bot we connect to is told its token, in the header and in the query as it was configured.
    let (mut listens, visitor) = bot_that_listens.accept().await;
    assert_eq!(visitor.header("authorization"), format!("Bearer {}", secret("listens")));
    assert!(visitor.target.query().unwrap().contains(&secret("listens-query")));
    assert_eq!(listens.frame().await["sub_type"], "connect");
    bot_that_parrots.refuse(parrot).await;
    daemon.logged("cannot reach the bot").await;
    drop(listens);
    daemon.logged("connection to the bot ended").await;

    // Tokens that are right or wrong, wherever they can stand.
    let wrong = secret("nobody");
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n");
    let mut said = String::new();
    for (target, headers) in [
        (format!("/?access_token={wrong}"), String::new()),
        (format!("/event?access_token={wrong}"), "Origin: http://x\r\n".to_owned()),
        ("/".to_owned(), bearer(&wrong)),
        ("/".to_owned(), format!("Authorization: {wrong}\r\n")),
        ("/".to_owned(), format!("Authorization: Token {wrong}\r\n")),
        (format!("/?access_token={}", secret("bot")), bearer(&wrong)),
        (format!("/?access_token={}", secret("bot")), "Origin: http://x\r\n".to_owned()),
    ] {
        let answer = shake_hands(daemon.address, &target, &headers).await;
        assert_ne!(answer.status, 101, "{target} {headers}");
        said += &answer.body;
    }
    for (target, headers) in [
        (format!("/?access_token={}", secret("bot")), String::new()),
        (format!("/?access_token={wrong}"), bearer(&secret("bot"))),
    ] {
        assert_eq!(shake_hands(daemon.address, &target, &headers).await.status, 101);
    }
    for (target, headers) in
        [(format!("/metrics?access_token={wrong}"), String::new()), ("/metrics".to_owned(), bearer(&wrong))]
    {
        let answer = get(daemon.admin.0, &target, &headers).await;
        assert_eq!(answer.status, 401);
        said += &answer.body;
    }

    // A bot whose call carries secrets, is refused, and breaks the protocol.
    let url = format!("ws://{}/?access_token={}", daemon.address, secret("bot"));
    let request = url.into_client_request().unwrap();
    let (mut bot, _) = Wire::connect(daemon.address, request).await.unwrap();
    bot.send(call("get_cookies", "denied")).await;
    said += &bot.answer("denied").await.to_string();
    bot.send(format!(r#"{{"action":"set_config","params":{{"token":"{wrong}"}},"echo":"denied too"}}"#))
        .await;
    said += &bot.answer("denied too").await.to_string();
    bot.send(format!(r#"{{"echo":"bad","token":"{wrong}",,}}"#)).await;
    said += &bot.answer("bad").await.to_string();

    // LLOneBot refuses us.
    simulator.control().refuse(true);
    simulator.control().disconnect();
    daemon.admin.not_ready("token").await;
    bot.send(call("get_status", "down")).await;
    said += &bot.answer("down").await.to_string();
    said += &daemon.admin.readiness().await.1.to_string();
    let metrics = get(daemon.admin.0, "/metrics", &bearer(&secret("admin"))).await.body;
    Metrics::parse(&metrics);
    said += &metrics;
    daemon.signal("TERM");
    assert_eq!(daemon.ended().await.code(), Some(0));
    daemon.logged("bye").await;
    said += &daemon.log();
    let told = said.lines().filter(|line| line.contains(MARK)).collect::<Vec<_>>();
    assert!(told.is_empty(), "{told:#?}");
}

/// A configuration with a secret wherever there can be one.
fn full_of_secrets([llonebot, listens_at, parrots_at]: [SocketAddr; 3]) -> String {
    format!(
        r#"
        {ports_and_log}
        level = "trace"
        [upstream.main]
        dial = "ws://{llonebot}/?access_token={upstream_query}"
        token = "{upstream}"
        [consumer.bot]
        token = "{bot}"
        [consumer.listens]
        token = "{listens}"
        reverse_ws = {{ url = "ws://{listens_at}/ws?access_token={listens_query}" }}
        [consumer.parrots]
        token = "{parrots}"
        reverse_ws = {{ url = "ws://{parrots_at}/ws?access_token={parrots_query}", max_backoff = "50ms" }}
        "#,
        ports_and_log =
            PORTS_AND_LOG.replace("[admin]\n", &format!("[admin]\ntoken = \"{}\"\n", secret("admin"))),
        upstream_query = secret("upstream-query"),
        upstream = secret("llonebot"),
        bot = secret("bot"),
        listens = secret("listens"),
        listens_query = secret("listens-query"),
        parrots = secret("parrots"),
        parrots_query = secret("parrots-query"),
    )
}

/// LLOneBot's own words about why it refuses us reach the log, `/readyz` and the bots.
#[tokio::test]
async fn a_peer_that_repeats_our_secrets_does_not_spread_them() {
    let llonebot = Server::start().await;
    let daemon = Daemon::start(&format!(
        "{PORTS_AND_LOG}[calls]\nwait_for_link = \"10ms\"\n[upstream.main]\n\
         dial = \"ws://{}/?access_token={}\"\ntoken = \"{}\"\n[consumer.bot]\ntoken = \"{}\"\n",
        llonebot.address(),
        secret("query"),
        secret("llonebot"),
        secret("bot"),
    ))
    .await;
    llonebot.refuse(parrot).await;
    let reason = daemon.admin.not_ready("404").await;
    assert!(!reason.contains(MARK), "{reason}");
    daemon.logged("404").await;
    assert!(!daemon.log().contains(MARK), "{}", daemon.log());
}

#[tokio::test]
async fn check_quotes_no_secret_from_a_file_that_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("gateway.toml");
    for toml in [
        format!("[upstream.main]\ndial = \"ws://127.0.0.1:1/\"\ntoken = \"{}\n", secret("unclosed")),
        format!(
            "[upstream.main]\ndial = \"ws://127.0.0.1:1/\"\n[consumer.a]\ntoken = [\"{}\"]\n",
            secret("list")
        ),
        format!("[upstream.main]\ndial = \"wss//{}\"\n[consumer.a]\ntoken = \"{0}\"\n", secret("url")),
        format!(
            "[upstream.main]\ndial = \"http://x/?access_token={0}\"\n[consumer.a]\ntoken = \"{0}\"\n\
             [consumer.b]\ntoken = \"{0}\"\n",
            secret("twice")
        ),
        format!("[upstream.main]\ntoken = {}\n[consumer.a]\ntoken = {{ file = \"/no\" }}\n", secret("bare")),
    ] {
        std::fs::write(&file, &toml).unwrap();
        let output = output(&["check", "--config", file.to_str().unwrap()]).await;
        assert_eq!(output.status.code(), Some(64), "{toml}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!stderr.contains(MARK) && !stderr.is_empty(), "{toml}\n{stderr}");
    }
}
