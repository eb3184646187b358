//! What a user hears about the files that the configuration names.

use std::fs;

use onebot_gateway::config::{self, Config, Problems};

use crate::authority::Authority;

const REFERENCE: &str = include_str!("../../gateway.toml");

fn parse(text: &str) -> Result<Config, Problems> {
    config::parse(text, "gateway.toml", std::iter::empty())
}

#[test]
fn the_examples_of_the_reference_load() {
    let authority = Authority::new();
    let issued = authority.issue("localhost");
    fs::copy(issued.cert, authority.directory().join("cert.pem")).unwrap();
    fs::copy(issued.key, authority.directory().join("key.pem")).unwrap();
    let text = REFERENCE
        .replace("\n# tls = ", "\ntls = ")
        .replace("\n# ca = ", "\nca = ")
        .replace("\n# reverse_ws = { api_url = \"wss:", "\nreverse_ws = { api_url = \"wss:")
        .replace("\ndial = \"ws:", "\ndial = \"wss:")
        .replace("/etc/onebot-gateway", authority.directory().to_str().unwrap());
    let config = parse(&text).unwrap();
    assert!(config.server.tls.is_some() && config.admin.tls.is_some());
    assert_eq!(config.upstream.trust, authority.trust());
    let script = config.consumers.iter().find(|consumer| consumer.name == "script").unwrap();
    assert_eq!(script.reverse_ws[1].trust, authority.trust());
}

#[test]
fn each_mistake_is_told_with_its_place_and_its_cure() {
    let authority = Authority::new();
    let (ours, other) = (authority.issue("localhost"), authority.issue("other"));
    let directory = authority.directory().to_str().unwrap();
    let write = |name: &str, text: &str| fs::write(authority.directory().join(name), text).unwrap();
    let (cert, key) = (fs::read_to_string(ours.cert).unwrap(), fs::read_to_string(ours.key).unwrap());
    write("cert.pem", &cert);
    write("key.pem", &key);
    write("other.pem", &fs::read_to_string(other.key).unwrap());
    write("empty.pem", "");
    write("cut.pem", &cert[..100]);
    write("cut_key.pem", &key[..100]);
    write("locked.pem", &key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"));
    write("nonsense.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    write("nonsense_key.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");

    let tls = |cert: &str, key: &str| {
        format!("[server]\ntls = {{ cert = \"{directory}/{cert}\", key = \"{directory}/{key}\" }}")
    };
    let ca = |file: &str| format!("reverse_ws = {{ url = \"wss://bot/\", ca = \"{directory}/{file}\" }}");
    let cases = [
        (tls("cert.pem", "missing.pem"), "server.tls.key: file {}/missing.pem cannot be read: "),
        (tls("missing.pem", "key.pem"), "server.tls.cert: file {}/missing.pem cannot be read: "),
        (tls("", "key.pem"), "server.tls.cert: file {}/ cannot be read: "),
        (
            tls("empty.pem", "key.pem"),
            "server.tls.cert: file {}/empty.pem has no certificate in it; expected PEM, with -----BEGIN CERTIFICATE-----",
        ),
        (tls("key.pem", "key.pem"), "server.tls.cert: file {}/key.pem has no certificate in it"),
        (
            tls("cert.pem", "cert.pem"),
            "server.tls.key: file {}/cert.pem has no private key in it; expected PEM, with -----BEGIN PRIVATE KEY-----",
        ),
        (
            tls("cut.pem", "key.pem"),
            "server.tls.cert: file {}/cut.pem is not PEM: a section has no END line; is the file cut off?",
        ),
        (tls("cert.pem", "cut_key.pem"), "server.tls.key: file {}/cut_key.pem is not PEM: "),
        (
            tls("cert.pem", "locked.pem"),
            "server.tls.key: file {}/locked.pem is locked with a passphrase; unlock it with `openssl pkey",
        ),
        (
            tls("cert.pem", "other.pem"),
            "server.tls.key: file {}/other.pem is not the key of the first certificate in {}/cert.pem;",
        ),
        (
            tls("nonsense.pem", "key.pem"),
            "server.tls.cert: file {}/nonsense.pem: the first certificate cannot be read",
        ),
        (
            tls("cert.pem", "nonsense_key.pem"),
            "server.tls.key: file {}/nonsense_key.pem has a key of an unknown kind; expected RSA,",
        ),
        (
            "[admin]\ntls = { cert = \"x\" }".to_owned(),
            "admin.tls.key: missing; expected the PEM file of the private key that belongs to `cert`",
        ),
        ("[server]\ntls = \"cert.pem\"".to_owned(), "server.tls: is a string; expected a table"),
        (ca("missing.pem"), "consumer.bot.reverse_ws.ca: file {}/missing.pem cannot be read: "),
        (ca("key.pem"), "consumer.bot.reverse_ws.ca: file {}/key.pem has no certificate in it"),
        (
            ca("nonsense.pem"),
            "consumer.bot.reverse_ws.ca: file {}/nonsense.pem: certificate 1 cannot be read",
        ),
        (
            ca("cert.pem").replace("wss:", "ws:"),
            "consumer.bot.reverse_ws.ca: is of no use here: it is for an address that begins with wss:// or https://",
        ),
    ];
    for (text, expected) in cases {
        let least = "[upstream.main]\naccept = \"/llonebot\"\n[consumer.bot]\ntoken = \"x\"\n";
        let told = parse(&format!("{least}{text}")).expect_err(&text).to_string();
        let expected = expected.replace("{}", directory);
        assert_eq!(told.lines().count(), 1, "{text}\n{told}");
        let (_, told) = told.split_once(' ').unwrap();
        assert!(told.starts_with(&expected), "{text}\n{told}\n{expected}");
        let secret = key.lines().nth(1).unwrap();
        assert!(!told.contains(&secret[..20]), "{told}");
    }
}

#[test]
fn a_ca_for_llonebot_that_dials_is_of_no_use() {
    let authority = Authority::new();
    let text = format!(
        "[upstream.main]\naccept = \"/llonebot\"\nca = {:?}\n[consumer.bot]\ntoken = \"x\"\n",
        authority.file()
    );
    let told = parse(&text).unwrap_err().to_string();
    assert_eq!(
        told,
        "gateway.toml:3:6: upstream.main.ca: is of no use here: it is for an address that begins with wss:// or https://"
    );
}
