use bytes::Bytes;

use super::*;
use crate::onebot::ActionName;

fn found(action: &str, params: &str) -> Result<(), Local> {
    local(&Call { action: ActionName::new(action), params: Bytes::copy_from_slice(params.as_bytes()) })
}

fn in_segment(file: &str) -> Result<(), Local> {
    let file = Value::from(file);
    found("send_group_msg", &format!(r#"{{"message":[{{"type":"image","data":{{"file":{file}}}}}]}}"#))
}

#[test]
fn what_is_inline_or_public_passes() {
    for file in [
        "base64:///9j/4AAQ",
        "data:image/png;base64,iVBO/w0=",
        "https://example.org/a.png",
        "http://example.org:8080/a?b=http://127.0.0.1/",
        "HTTPS://203.0.114.7/x",
        "https://xn--fiqs8s.example/",
        "http://[2606:4700::1111]/x",
        "0BADF00D0BADF00D0BADF00D0BADF00D.jpg",
        "{0BADF00D-0BAD-F00D-0BAD-F00D0BADF00D}.png",
        "",
    ] {
        assert_eq!(in_segment(file), Ok(()), "{file}");
    }
}

#[test]
fn files_of_the_host_are_found_however_they_are_spelled() {
    for file in [
        "file:///etc/passwd",
        "FILE:/etc/passwd",
        " \u{1}file:///etc/passwd",
        "fi\nle:///etc/passwd",
        "/etc/passwd",
        "\t/etc/passwd",
        "etc/passwd",
        "..",
        "~root",
        r"C:\Windows\win.ini",
        "C:win.ini",
        r"\\host\share",
        ".env",
        "\u{3000} .env",
        "a\0.jpg",
    ] {
        assert_eq!(in_segment(file), Err(Local::Path), "{file:?}");
    }
    for file in ["ftp://example.org/x", "concat:a|b", "BASE64://aaaa", "http+unix:/x"] {
        assert_eq!(in_segment(file), Err(Local::Scheme), "{file:?}");
    }
}

#[test]
fn addresses_that_are_not_public_are_found_however_they_are_spelled() {
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "127.0.0.1.",
        "%31%32%37.0.0.1",
        "１２７.0.0.1",
        "127。0。0。1",
        "0",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "999.1.1.1",
        "1.2.3.4.5",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::10.0.0.1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "[fe80::1%25eth0]",
        "[fc00::1]",
        "[nonsense]",
        "localhost",
        "LOCALHOST.",
        "a.localhost",
        "nas.local",
        "metadata.google.internal",
        "redis",
        "user:pass@127.0.0.1",
        "example.org@127.0.0.1",
        "",
    ] {
        for url in [
            format!("http://{host}/x"),
            format!("HTTPS://{host}:80"),
            format!("http:\\\\{host}\\x"),
            format!("http:/{host}?x"),
        ] {
            assert_eq!(in_segment(&url), Err(Local::Address), "{url}");
        }
    }
    assert_eq!(in_segment("http://ex\tample.org/"), Ok(()));
    assert_eq!(in_segment("http://127\n.0.0.1/"), Err(Local::Address));
}

#[test]
fn media_are_found_wherever_implementations_look_for_them() {
    for (action, params) in [
        ("send_msg", r#"{"message":"a [CQ:image,file=file:///etc/passwd]"}"#),
        ("send_msg", r#"{"message":"[CQ:image,file=a.jpg,url=/etc/passwd]"}"#),
        ("send_msg", r#"{"message":"[CQ: image , file =/etc/passwd]"}"#),
        ("send_msg", r#"{"message":"[CQ:record,cache=0,file=http://127.0.0.1:3000/get_cookies]"}"#),
        ("send_msg", r#"{"message":"[CQ:image,file=http&#58;//x,path=/x]"}"#),
        ("send_msg", r#"{"message":"[CQ:x,b=[CQ:image,file=/x]"}"#),
        ("send_msg", r#"{"message":["[CQ:image,file=/x]"]}"#),
        ("send_msg", r#"{"message":"[{\"type\":\"image\",\"data\":{\"file\":\"/x\"}}]"}"#),
        ("send_msg", r#"{"message":"[CQ:image,file=/x]","auto_escape":"true"}"#),
        ("send_msg", r#"{"message":{"type":"image","data":{"file":"/x"}}}"#),
        ("send_msg", r#"{"message":{"type":"IMAGE","data":{"FILE":"/x"}}}"#),
        ("send_msg", r#"{"message":{"type":"v\u0069deo","data":{"f\u0069le":"\u002fx"}}}"#),
        ("send_msg", r#"{"message":{"type":"video","data":{"file":"a.mp4","thumb":"/x"}}}"#),
        ("send_msg", r#"{"message":{"type":"music","data":{"type":"custom","audio":"file:///x"}}}"#),
        ("send_msg", r#"{"message":{"type":"of_tomorrow","data":{"anything":"/x"}}}"#),
        ("send_msg", r#"{"message":{"type":"image","data":{"file":["/x"]}}}"#),
        ("send_msg", r#"{"message":{"type":"image","file":"/x"}}"#),
        (
            "send_group_forward_msg",
            r#"{"messages":[{"type":"node","data":{"content":"[CQ:image,file=/x]"}}]}"#,
        ),
        (
            "send_forward_msg",
            r#"{"messages":[{"type":"node","data":{"content":[{"type":"node","data":{"content":[{"type":"image","data":{"file":"/x"}}]}}]}}]}"#,
        ),
        (
            "send_forward_msg",
            r#"{"message":[{"type":"node","data":{"messages":[{"type":"file","data":{"file":"/x"}}]}}]}"#,
        ),
        ("upload_group_file", r#"{"file":"/etc/passwd","name":"a"}"#),
        ("upload_group_album", r#"{"files":["a.jpg","/x"]}"#),
        ("upload_flash_file", r#"{"paths":["/x"]}"#),
        ("set_qq_avatar_async", r#"{"file":"file:///x"}"#),
        ("set_group_portrait", r#"{"file":"http://10.0.0.1/x"}"#),
        ("_send_group_notice", r#"{"content":"a","image":"/x"}"#),
        ("download_file", r#"{"url":"http://localhost/x"}"#),
        ("ocr_image", r#"{"image":"/x"}"#),
        ("an_action_of_tomorrow", r#"{"file":"/x"}"#),
    ] {
        assert!(found(action, params).is_err(), "{action} {params}");
    }
    let deep = format!(r#"{{"message":{}"/"{}}}"#, "[".repeat(200), "]".repeat(200));
    assert_eq!(found("send_msg", &deep), Err(Local::Unreadable));
}

#[test]
fn what_is_only_said_passes() {
    for (action, params) in [
        ("send_msg", r#"{"message":"see file:///etc/passwd and http://127.0.0.1/"}"#),
        ("send_msg", r#"{"message":"[CQ:image,file=/x]","auto_escape":true}"#),
        (
            "send_msg",
            r#"{"message":[{"type":"text","data":{"text":"/help file:///x"}},{"type":"at","data":{"qq":"all"}}]}"#,
        ),
        ("send_msg", r#"{"message":"/help [CQ:at,qq=1] [CQ:reply,id=-5]"}"#),
        ("send_msg", r#"{"message":[{"type":"json","data":{"data":"{\"u\":\"http://10.0.0.1\"}"}}]}"#),
        (
            "send_msg",
            r#"{"message":[{"type":"music","data":{"type":"custom","url":"https://a.example/","audio":"https://a.example/b","title":"a/b"}}]}"#,
        ),
        ("upload_group_file", r#"{"group_id":1,"file":"base64://aaaa","name":"a.txt","folder":"/"}"#),
        (
            "send_forward_msg",
            r#"{"messages":[{"type":"node","data":{"name":"a/b","uin":"1","content":"/help"}}]}"#,
        ),
        ("get_group_info", r#"{"group_id":1,"file":"/x"}"#),
        ("get_file", r#"{"file_id":"/0a1b"}"#),
    ] {
        assert_eq!(found(action, params), Ok(()), "{action} {params}");
    }
}
