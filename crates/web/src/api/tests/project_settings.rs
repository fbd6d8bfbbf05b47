//! Scrubbing and filters over the API, in Sentry's names.

use super::*;

const SHOP: &str = "/projects/acme/shop/";

#[tokio::test]
async fn settings_read_and_change_as_scripts_expect() {
    let api = Api::new().await;
    let project = api.get(SHOP).await.json();
    let field = |project: &Value, name: &str| project[name].clone();
    assert_eq!(field(&project, "slug"), "shop");
    assert_eq!((field(&project, "dataScrubber"), field(&project, "scrubIPAddresses")), (json!(true), json!(false)));
    assert_eq!(field(&project["options"], "filters:localhost"), json!(false));
    let body = json!({
        "dataScrubberDefaults": false, "scrubIPAddresses": true, "sensitiveFields": ["badge", " "], "safeFields": "a\nb",
        "relayPiiConfig": r#"{"applications":{"$string":["@email"]}}"#,
        "options": {"filters:localhost": "1", "filters:error_messages": "*a*\n*b*", "filters:blacklisted_ips": ["10.0.0.0/8"],
            "filters:legacy-browsers": ["ie9"]},
    });
    let changed = api.call("PUT", SHOP, &api.token, &body.to_string()).await;
    assert_eq!(changed.status, 200, "{}", changed.json());
    assert_eq!(changed.json(), api.get(SHOP).await.json());
    let project = changed.json();
    assert_eq!(
        (field(&project, "sensitiveFields"), field(&project, "safeFields")),
        (json!(["badge"]), json!(["a", "b"]))
    );
    let options = &project["options"];
    assert_eq!(options["filters:error_messages"], "*a*\n*b*");
    assert_eq!((&options["filters:localhost"], &options["filters:legacy-browsers"]), (&json!(true), &json!(["ie9"])));
    assert!(!project.to_string().contains("hash_key"));
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_and_changes_nothing() {
    let api = Api::new().await;
    let before = api.get(SHOP).await.json();
    for (body, told) in [
        (json!({"dataScrubber": "yes"}), "dataScrubber: a boolean"),
        (json!({"sensitiveFields": [1]}), "sensitiveFields: a list of texts"),
        (json!({"name": 1}), "name: a text is expected"),
        (json!({"slug": "site", "name": "Taken"}), "project site already exists"),
        (json!({"id": "7"}), "id: cannot be changed here"),
        (json!({"options": {"filters:nothing": true}}), "filters:nothing is not known"),
        (json!({"options": {"filters:legacy-browsers": ["mosaic"]}}), "\"mosaic\" is not known"),
        (json!({"relayPiiConfig": r#"{"applications":{"a && ":["@ip"]}}"#}), "selector 'a && '"),
        (json!({"options": {"filters:localhost": true, "filters:blacklisted_ips": "x"}}), "'x' is no address"),
    ] {
        let reply = api.call("PUT", SHOP, &api.token, &body.to_string()).await;
        assert!(matches!(reply.status, 400 | 409), "{body}");
        assert!(reply.json()["detail"].as_str().is_some_and(|detail| detail.contains(told)), "{}", reply.json());
    }
    assert_eq!(api.get(SHOP).await.json(), before);
}

#[tokio::test]
async fn filters_are_switched_one_by_one() {
    let api = Api::new().await;
    let put = async |filter: &str, body: &str| {
        api.call("PUT", &format!("{SHOP}filters/{filter}/"), &api.token, body).await.status
    };
    assert_eq!(put("web-crawlers", r#"{"active":true}"#).await, 204);
    assert_eq!(put("legacy-browsers", r#"{"subfilters":["ie9","safari"]}"#).await, 204);
    assert_eq!(put("chunk-load-error", r#"{"active":false}"#).await, 204);
    assert_eq!(put("nothing", r#"{"active":true}"#).await, 404);
    assert_eq!(put("localhost", "{}").await, 400);
    let filters = api.get(&format!("{SHOP}filters/")).await.json();
    let active: Vec<(&str, &Value)> = filters
        .as_array()
        .expect("a list")
        .iter()
        .map(|filter| (filter["id"].as_str().unwrap_or_default(), &filter["active"]))
        .filter(|(_, active)| **active != json!(false))
        .collect();
    let on = json!(true);
    assert_eq!(
        active,
        [
            ("web-crawlers", &on),
            ("filtered-transaction", &on),
            ("react-hydration-errors", &on),
            ("legacy-browsers", &json!(["ie9", "safari"])),
        ]
    );
}

#[tokio::test]
async fn a_preview_tells_what_would_be_taken() {
    let api = Api::new().await;
    let id = api.world.store(&Stored::new(api.world.shop, "contract", NOON));
    let body = json!({"relayPiiConfig": r#"{"applications":{"$error.value":["@anything:mask"]}}"#});
    let path = format!("{SHOP}events/{id}/scrubbing-preview/");
    let reply = api.call("POST", &path, &api.token, &body.to_string()).await;
    assert_eq!(reply.status, 200);
    let preview = reply.json();
    assert_eq!(preview["changes"][0]["path"], "exception.values.0.value");
    assert_eq!(preview["event"]["exception"]["values"][0]["value"], "********");
    assert_eq!(api.call("POST", &path, &api.token, r#"{"relayPiiConfig":"{"}"#).await.status, 400);
}

#[tokio::test]
async fn grouping_is_set_under_both_of_sentrys_names() {
    let api = Api::new().await;
    let project = api.get(SHOP).await.json();
    assert_eq!(project["groupingConfig"], "newstyle:2026-01-20");
    assert_eq!(project["options"]["sentry:grouping_enhancements"], "");
    let rules = "family:native function:\"<b>&\" -group";
    let body = json!({"groupingEnhancements": rules, "options": {"sentry:fingerprinting_rules": "type:A -> b"}});
    let changed = api.call("PUT", SHOP, &api.token, &body.to_string()).await;
    assert_eq!(changed.status, 200, "{}", changed.json());
    let project = changed.json();
    assert_eq!(
        (&project["options"]["sentry:grouping_enhancements"], &project["fingerprintingRules"]),
        (&json!(rules), &json!("type:A -> b"))
    );
    assert_eq!(project["secondaryGroupingConfig"], Value::Null);
    let body = json!({"groupingConfig": "newstyle:2023-01-11"});
    let project = api.call("PUT", SHOP, &api.token, &body.to_string()).await.json();
    assert_eq!(project["secondaryGroupingConfig"], "newstyle:2026-01-20", "issues are kept together");
    let until = project["secondaryGroupingExpiry"].as_i64().unwrap();
    assert_eq!(until, NOON.micros() / 1_000_000 + 90 * 86_400);
}

#[tokio::test]
async fn grouping_that_cannot_be_used_names_line_and_limit() {
    let api = Api::new().await;
    let many = "function:a -group\n".repeat(2_001);
    for (body, told) in [
        (json!({"groupingConfig": "legacy:2019-03-12"}), "no configuration is called 'legacy:2019-03-12'"),
        (json!({"groupingEnhancements": "\nfunction:a +apps"}), "line 2: no action has that name"),
        (json!({"groupingEnhancements": many}), "more rules than"),
        (json!({"fingerprintingRules": "type:a -> b\nfoo"}), "line 2: "),
        (json!({"secondaryGroupingExpiry": 0}), "secondaryGroupingExpiry: a time in seconds"),
        (json!({"secondaryGroupingExpiry": 99_999_999_999_i64}), "a year at most"),
        (json!({"options": {"sentry:grouping_config": 7}}), "a text is expected"),
    ] {
        let reply = api.call("PUT", SHOP, &api.token, &body.to_string()).await;
        assert!(matches!(reply.status, 400 | 409), "{body}");
        assert!(reply.json()["detail"].as_str().is_some_and(|detail| detail.contains(told)), "{}", reply.json());
    }
    assert_eq!(api.get(SHOP).await.json()["groupingEnhancements"], "");
}

#[tokio::test]
async fn a_project_may_keep_its_events_for_less() {
    let api = Api::new().await;
    assert_eq!(api.get(SHOP).await.json()["retentionDays"], Value::Null);
    for (asked, status) in [(json!(30), 200), (json!(0), 400), (json!(-1), 400), (json!("x"), 400), (json!(1e9), 400)] {
        let body = json!({ "retentionDays": asked });
        assert_eq!(api.call("PUT", SHOP, &api.token, &body.to_string()).await.status, status, "{asked}");
    }
    assert_eq!(api.get(SHOP).await.json()["retentionDays"], json!(30));
    api.call("PUT", SHOP, &api.token, r#"{"retentionDays": null}"#).await;
    assert_eq!(api.get(SHOP).await.json()["retentionDays"], Value::Null);
}
