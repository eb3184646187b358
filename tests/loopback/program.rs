//! The program: its arguments, its exit codes, its signals.

use std::fs;

use crate::support::daemon::{Daemon, PORTS_AND_LOG, output};
use crate::support::wire::Wire;
use crate::support::{SELF_ID, TOKEN, anywhere, call, event, simulator};
use onebot_gateway::simulator::Behaviour;

fn with_upstream(url: &str) -> String {
    format!("{PORTS_AND_LOG}\n[upstream.main]\ndial = \"{url}\"\n[consumer.bot]\ntoken = \"{TOKEN}\"\n")
}

async fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = output(arguments).await;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn help_and_version_are_answers_and_a_bad_flag_is_64() {
    let (code, stdout, stderr) = run(&["--help"]).await;
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    for word in ["run", "check", "--config", "gateway.toml"] {
        assert!(stdout.contains(word), "{word} is missing in\n{stdout}");
    }
    let (code, stdout, _) = run(&["--version"]).await;
    assert_eq!((code, stdout.trim()), (Some(0), concat!("onebot-gateway ", env!("CARGO_PKG_VERSION"))));
    for bad in [&["--no-such-flag"][..], &["no-such-command"], &["run", "--config"], &["check", "extra"]] {
        let (code, stdout, stderr) = run(bad).await;
        assert_eq!((code, stdout.as_str()), (Some(64), ""), "{bad:?}");
        assert!(stderr.contains("--help"), "{bad:?}: {stderr}");
    }
}

#[tokio::test]
async fn check_says_what_a_file_means_or_all_that_is_wrong_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("gateway.toml");
    let path = file.to_str().unwrap();
    fs::write(&file, with_upstream("ws://127.0.0.1:3001/")).unwrap();
    let (code, stdout, stderr) = run(&["check", "--config", path]).await;
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert!(stdout.contains("main: connects to ws://127.0.0.1:3001/") && stdout.contains("consumer  bot"));

    fs::write(&file, "[server]\nlisten = 5\nsurprise = 1\n[upstream.main]\ndial = \"http://x\"\n").unwrap();
    for command in ["check", "run"] {
        let (code, stdout, stderr) = run(&[command, "--config", path]).await;
        assert_eq!((code, stdout.as_str()), (Some(64), ""), "{command}");
        for key in ["server.listen", "surprise", "upstream.main.dial"] {
            assert!(stderr.contains(key), "{command}: {key} is missing in\n{stderr}");
        }
    }
    let (code, _, stderr) = run(&["check", "--config", "/no/such/file.toml"]).await;
    assert_eq!(code, Some(64));
    assert!(stderr.contains("/no/such/file.toml") && stderr.contains("--config"), "{stderr}");
}

#[tokio::test]
async fn an_address_that_is_taken_is_named_with_its_key() {
    let taken = std::net::TcpListener::bind(anywhere()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("gateway.toml");
    let address = taken.local_addr().unwrap().to_string();
    for (key, listen) in [("server.listen", "[server]\nlisten"), ("admin.listen", "[admin]\nlisten")] {
        let toml = with_upstream("ws://127.0.0.1:1/");
        fs::write(
            &file,
            toml.replacen(&format!("{listen} = \"127.0.0.1:0\""), &format!("{listen} = \"{address}\""), 1),
        )
        .unwrap();
        let (code, _, stderr) = run(&["run", "--config", file.to_str().unwrap()]).await;
        assert_eq!(code, Some(1), "{stderr}");
        assert!(stderr.contains(key) && stderr.contains(&address), "{stderr}");
    }
}

#[tokio::test]
async fn without_llonebot_it_starts_at_once_and_says_so_in_one_line() {
    let free = std::net::TcpListener::bind(anywhere()).unwrap().local_addr().unwrap();
    let toml = with_upstream(&format!("ws://{free}/"));
    let daemon =
        Daemon::start(&toml.replace("[upstream.main]\n", "[upstream.main]\nmax_backoff = \"50ms\"\n")).await;
    let line = daemon.logged("no link").await;
    assert_eq!(line["level"], "WARN");
    assert!(line["url"].as_str().unwrap().contains(&free.to_string()), "{line}");
    assert!(daemon.admin.not_ready("no link to LLOneBot").await.contains("cannot connect"));
    // However often it is tried again.
    let failures = &[("upstream", "main"), ("reason", "dial")];
    daemon.admin.reaches("link_losses_total", failures, 10.0).await;
    assert_eq!(daemon.lines().len(), 2, "{}", daemon.log());

    let _simulator = simulator(free).await;
    daemon.admin.ready().await;
    let connected = daemon.logged("connected to LLOneBot").await;
    assert_eq!(connected["self_id"], SELF_ID);
}

#[tokio::test]
async fn sigterm_and_ctrl_c_drain_and_exit_0() {
    for (signal, name) in [("TERM", "SIGTERM"), ("INT", "Ctrl-C")] {
        let simulator = simulator(anywhere()).await;
        let mut daemon =
            Daemon::start(&with_upstream(&format!("ws://{}/", simulator.address().unwrap()))).await;
        daemon.admin.ready().await;
        let mut bots = [Wire::bot(daemon.address, "/").await, Wire::bot(daemon.address, "/event").await];
        for bot in &mut bots {
            assert_eq!(bot.frame().await["sub_type"], "connect");
        }
        simulator.control().emit(event(1)).await;
        let [universal, events] = &mut bots;
        universal.expect_events(1..2).await;
        events.expect_events(1..2).await;
        daemon.signal(signal);
        for bot in &mut bots {
            assert_eq!(bot.closed().await, Some(1001));
        }
        assert_eq!(daemon.ended().await.code(), Some(0), "{}", daemon.log());
        daemon.logged(name).await;
        let bye = daemon.logged("bye").await;
        assert_eq!((&bye["tasks_left"], &bye["calls_left"]), (&0.into(), &0.into()));
        assert_eq!(simulator.control().connections(), 0);
    }
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let simulator = simulator(anywhere()).await;
    let silent = Behaviour { silence: ["get_group_list".to_owned()].into(), ..Behaviour::default() };
    simulator.control().set_behaviour(silent);
    let toml = with_upstream(&format!("ws://{}/", simulator.address().unwrap()));
    // A drain of hours, so that nothing but the second signal ends it.
    let mut daemon = Daemon::start(
        &toml
            .replace("[server]\n", "[server]\ndrain = \"2h\"\n")
            .replace("[log]\n", "[calls]\ntimeout = \"3h\"\n[log]\n"),
    )
    .await;
    daemon.admin.ready().await;
    let mut bot = Wire::bot(daemon.address, "/").await;
    bot.send(call("get_group_list", 1)).await;
    daemon.admin.reaches("calls_pending", &[("upstream", "main")], 1.0).await;
    daemon.signal("TERM");
    daemon.admin.not_ready("shutting down").await;
    daemon.signal("TERM");
    assert_eq!(daemon.ended().await.code(), Some(1));
    daemon.logged("second signal").await;
}

#[tokio::test]
async fn a_drain_that_is_over_its_time_ends_all_the_same() {
    let simulator = simulator(anywhere()).await;
    let silent = Behaviour { silence: ["get_group_list".to_owned()].into(), ..Behaviour::default() };
    simulator.control().set_behaviour(silent);
    let toml = with_upstream(&format!("ws://{}/", simulator.address().unwrap()));
    let mut daemon = Daemon::start(&toml.replace("[server]\n", "[server]\ndrain = \"300ms\"\n")).await;
    daemon.admin.ready().await;
    let mut bot = Wire::bot(daemon.address, "/").await;
    bot.send(call("get_group_list", 1)).await;
    daemon.admin.reaches("calls_pending", &[("upstream", "main")], 1.0).await;
    daemon.signal("TERM");
    assert_eq!(daemon.ended().await.code(), Some(0));
    assert_eq!(daemon.logged("still alive").await["calls"], 1);
    assert_eq!(daemon.logged("bye").await["calls_left"], 1);
}
