//! Misbehaving on request.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::SinkExt;
use onebot_gateway::simulator::{Answer, Behaviour, Config};
use serde_json::{Value, json};

use crate::peer::{GROUP, call, in_memory, join, next, reply};

#[tokio::test(start_paused = true)]
async fn answers_go_wrong_as_asked() {
    let (simulator, mut client) = in_memory(Config::default()).await;
    let behave = |answer| simulator.control().set_behaviour(Behaviour { answer, ..Behaviour::default() });
    let mut ask = async |echo: &str| client.send(call("get_status", &json!({}), echo)).await.unwrap();

    behave(Answer::Twice);
    ask("twice").await;
    simulator.control().wait_for(|control| control.call_count() == 1).await;
    behave(Answer::Never);
    ask("never").await;
    simulator.control().wait_for(|control| control.call_count() == 2).await;
    behave(Answer::NullEcho);
    ask("null").await;
    simulator.control().wait_for(|control| control.call_count() == 3).await;
    behave(Answer::UnknownEcho);
    ask("unknown").await;

    let mut echoes = Vec::new();
    for _ in 0..4 {
        echoes.push(reply(&mut client).await["echo"].clone());
    }
    assert_eq!(echoes, [json!("twice"), json!("twice"), Value::Null, json!("unknown-4")]);
    simulator.stop().await;
}

#[tokio::test(start_paused = true)]
async fn delays_and_disorder() {
    let delay = Duration::from_millis(50)..=Duration::from_millis(50);
    let behaviour = Behaviour { delay, reorder: true, ..Behaviour::default() };
    let (simulator, mut client) = in_memory(Config { behaviour, ..Config::default() }).await;
    let begun = tokio::time::Instant::now();
    let sent: Vec<_> = (0..50).map(|number| number.to_string()).collect();
    for echo in &sent {
        client.send(call("get_status", &json!({}), echo.as_str())).await.unwrap();
    }
    let mut received = Vec::new();
    for _ in 0..50 {
        received.push(reply(&mut client).await["echo"].as_str().unwrap().to_owned());
    }
    assert!(begun.elapsed() >= Duration::from_millis(50));
    assert_ne!(received, sent);
    let as_set = |echoes: Vec<String>| echoes.into_iter().collect::<BTreeSet<_>>();
    assert_eq!(as_set(received), as_set(sent));
    simulator.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_withheld_answer_was_still_carried_out() {
    let silence = BTreeSet::from(["set_group_name".to_owned()]);
    let behaviour = Behaviour { silence, ..Behaviour::default() };
    let (simulator, mut client) = in_memory(Config { behaviour, ..Config::default() }).await;
    let rename = json!({"group_id": GROUP, "group_name": "新名字"});
    client.send(call("set_group_name", &rename, "lost")).await.unwrap();
    client.send(call("get_group_info", &json!({"group_id": GROUP}), "info")).await.unwrap();
    let info = reply(&mut client).await;
    assert_eq!((&info["echo"], &info["data"]["group_name"]), (&json!("info"), &json!("新名字")));
    simulator.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_call_goes_on_when_its_caller_is_gone() {
    let delay = Duration::from_secs(1)..=Duration::from_secs(1);
    let behaviour = Behaviour { delay, ..Behaviour::default() };
    let (simulator, mut client) = in_memory(Config { behaviour, ..Config::default() }).await;
    let rename = json!({"group_id": GROUP, "group_name": "新名字"});
    client.send(call("set_group_name", &rename, "late")).await.unwrap();
    simulator.control().wait_for(|control| control.call_count() == 1).await;
    simulator.control().disconnect();

    let mut client = join(&simulator).await;
    client.send(call("get_group_info", &json!({"group_id": GROUP}), "info")).await.unwrap();
    assert_eq!(reply(&mut client).await["data"]["group_name"], "新名字");
    simulator.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_script_replaces_an_action() {
    let part =
        |kind: &str| format!(r#"{{"status":"ok","data":{{"type":"{kind}"}},"echo":$echo,"stream":"s"}}"#);
    let mut behaviour = Behaviour::default();
    behaviour.script.insert("download_file_stream".to_owned(), vec![part("stream"), part("response")]);
    let (simulator, mut client) = in_memory(Config { behaviour, ..Config::default() }).await;
    client.send(call("download_file_stream", &json!({}), "d")).await.unwrap();
    for kind in ["stream", "response"] {
        let frame = reply(&mut client).await;
        assert_eq!((&frame["data"]["type"], &frame["echo"]), (&json!(kind), &json!("d")));
    }
    simulator.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stalled_simulator_reads_nothing_and_still_speaks() {
    let (simulator, mut client) = in_memory(Config::default()).await;
    let control = simulator.control();
    control.stall(true);
    client.send(call("get_status", &json!({}), "s")).await.unwrap();
    control.emit(r#"{"n":1}"#).await;
    assert_eq!(next(&mut client).await, r#"{"n":1}"#);
    assert_eq!(control.call_count(), 0);
    control.stall(false);
    assert_eq!(reply(&mut client).await["echo"], "s");
    simulator.stop().await;
}
