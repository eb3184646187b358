//! communication/authorization.md

use crate::stage::{Bot, Stage, TOKENS, http};

#[tokio::test]
async fn clause_24_the_token_is_in_the_header_or_in_the_query() {
    let stage = Stage::llonebot().await;
    let gateway = stage.gateway.address();
    let [token, other] = TOKENS;
    // `Token` and a bare token are what bots send, too.
    for header in [format!("Bearer {token}"), format!("Token {token}"), token.to_owned()] {
        assert!(Bot::connect(gateway, "/", &[("Authorization", &header)]).await.is_ok(), "{header}");
        let answer = http(gateway, "GET /get_status", &format!("Authorization: {header}\r\n"), "").await;
        assert_eq!(answer.status, 200, "{header}");
    }
    let query = format!("?access_token={token}");
    assert!(Bot::connect(gateway, &format!("/{query}"), &[]).await.is_ok());
    assert_eq!(http(gateway, &format!("GET /get_status{query}"), "", "").await.status, 200);
    // Two tokens: the header counts, as in LLOneBot.
    let refused = http(gateway, &format!("GET /get_status{query}"), "Authorization: Bearer x\r\n", "").await;
    assert_eq!(refused.status, 403);
    let both = format!("Authorization: Bearer {other}\r\n");
    assert_eq!(http(gateway, "GET /get_status?access_token=x", &both, "").await.status, 200);
    stage.strike().await;
}
