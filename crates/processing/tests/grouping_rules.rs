//! Rules of a project: what stack-trace rules and fingerprint rules do to hashes and titles, and groups of exceptions.

use crate::normalised;
use processing::group::{ConfigName, FingerprintRules, GroupConfig, Grouping, StackRules, explain, group};
use processing::{summarise, summarise_with};
use std::sync::Arc;

fn with_stack_rules(rules: &str) -> GroupConfig {
    let stack_rules = StackRules::parse(rules).expect("stack-trace rules");
    GroupConfig { stack_rules: Some(Arc::new(stack_rules)), ..GroupConfig::default() }
}

fn with_fingerprint_rules(rules: &str) -> GroupConfig {
    let rules = FingerprintRules::parse(rules).expect("fingerprint rules");
    GroupConfig { fingerprint_rules: Some(Arc::new(rules)), ..GroupConfig::default() }
}

fn hash(grouping: &Grouping, variant: &str) -> Option<String> {
    let found = grouping.variants.iter().find(|found| found.name == variant)?;
    found.hash.map(|hash| stdx::hex::encode(&hash))
}

/// The hash of the texts one after the other, by way of a fingerprint of them.
fn hash_of(texts: &[&str]) -> Option<String> {
    let json = serde_json::json!({ "fingerprint": texts }).to_string();
    hash(&group(&normalised(&json), &GroupConfig::default()), "custom_client_fingerprint")
}

const STACK: &str = r#"{"platform":"python","exception":{"type":"E","stacktrace":{"frames":[
    {"function":"main","module":"app","in_app":true},
    {"function":"call","module":"lib","in_app":false},
    {"function":"work","module":"app","in_app":true},
    {"function":"fail","module":"lib","in_app":false}]}}}"#;

#[test]
fn stack_rules_choose_the_frames_that_count() {
    fn check(rules: &str, app: &[&str], system: &[&str]) {
        let grouping = group(&normalised(STACK), &with_stack_rules(rules));
        assert_eq!(hash(&grouping, "app"), hash_of(app), "app by {rules}");
        let expected = if app == system { None } else { hash_of(system) };
        assert_eq!(hash(&grouping, "system"), expected, "system by {rules}");
    }
    let all = ["E", "app", "main", "lib", "call", "app", "work", "lib", "fail"];
    check("", &["E", "app", "main", "app", "work"], &all);
    check("# nothing", &["E", "app", "main", "app", "work"], &all);
    check("module:lib +app", &all, &all);
    check("function:call v-app", &["E", "app", "work"], &all);
    check("function:call ^+app", &["E", "app", "main", "app", "work", "lib", "fail"], &all);
    check("function:work -group", &["E", "app", "main"], &["E", "app", "main", "lib", "call", "lib", "fail"]);
    check("module:app max-frames=2", &["E", "app", "main", "app", "work"], &["E", "app", "work", "lib", "fail"]);
    check(
        "[ module:lib ] | module:app -group",
        &["E", "app", "main"],
        &["E", "app", "main", "lib", "call", "lib", "fail"],
    );
    check("module:app | [ module:lib ] -app", &[], &all);
    check("!module:app | [ function:zzz ] +app", &["E", "app", "main", "app", "work"], &all);
    check("type:E function:main -group", &["E", "app", "work"], &["E", "lib", "call", "app", "work", "lib", "fail"]);
    check("type:F function:main -group", &["E", "app", "main", "app", "work"], &all);
    check(
        "module:lib category=x\ncategory:x -group",
        &["E", "app", "main", "app", "work"],
        &["E", "app", "main", "app", "work"],
    );
}

#[test]
fn a_stack_with_too_few_frames_gives_way_to_the_value() {
    let json = STACK.replace(r#""type":"E""#, r#""type":"E","value":"v""#);
    let grouping = group(&normalised(&json), &with_stack_rules("family:all min-frames=3"));
    assert_eq!(hash(&grouping, "app"), None, "another variant has a stack");
    assert!(hash(&grouping, "system").is_some());
    let grouping = group(&normalised(&json), &with_stack_rules("family:all min-frames=9"));
    assert_eq!(hash(&grouping, "app"), hash_of(&["E", "v"]));
}

#[test]
fn fingerprint_rules_match_as_written() {
    fn check(rules: &str, matches: bool) {
        let json = r#"{"platform":"python","level":"warning","logger":"shop","release":"a@1","server_name":"web-1","tags":{"t":" x "},
            "sdk":{"name":"sentry.python.django","version":"2.0"},"exception":{"values":[
            {"type":"KeyError","value":"no such Key","stacktrace":{"frames":[
                {"function":"f","module":"m","abs_path":"/srv/app/a.py","in_app":true},
                {"function":"g","module":"n","abs_path":"/usr/lib/b.py"}]}},
            {"type":"ValueError","value":"bad"}]}}"#;
        let grouping = group(&normalised(json), &with_fingerprint_rules(&format!("{rules} -> found")));
        assert_eq!(hash(&grouping, "custom_server_fingerprint").is_some(), matches, "{rules}");
    }
    check("type:KeyError", true);
    check("type:keyerror", false);
    check("type:KeyError value:\"NO SUCH*\"", true);
    check("type:KeyError value:bad", false);
    check("type:KeyError message:bad", true);
    check("!type:KeyError", true);
    check("!type:*Error", false);
    check("path:**/app/*.py", true);
    check("path:app/*.py", false);
    check("function:f module:m", true);
    check("function:f module:n", false);
    check("function:f app:yes", true);
    check("function:g app:no", false);
    check("level:WARNING logger:shop", true);
    check("tags.t:x release:a@* family:other sdk:sentry.python", true);
    check("tags.u:*", false);
    check("!tags.u:*", true);
    check("sdk:sentry.javascript", false);
    check("tags.server_name:web-*", true);
    check("tags.site:*", false);
}

#[test]
fn a_fingerprint_rule_may_name_the_issue() {
    let config = with_fingerprint_rules(
        r#"type:KeyError -> cart, {{ error.type }} title="Cart: {{ error.value }} in {{ tags.t }}{{ tags.u }}{{ nope }}{{ no pe }}""#,
    );
    let json = r#"{"exception":{"type":"KeyError","value":"no 5"},"tags":{"t":"x"}}"#;
    let summary = summarise_with(&normalised(json), &config);
    assert_eq!(summary.title, "Cart: no 5 in x<no-value-for-tag-u><unrecognized-variable-nope>{{ no pe }}");
    assert_eq!(hash(&summary.grouping, "custom_server_fingerprint"), hash_of(&["cart", "KeyError"]));
}

#[test]
fn the_configuration_of_2023_keeps_its_words() {
    let config = GroupConfig { name: ConfigName::Newstyle20230111, ..GroupConfig::default() };
    let json = r#"{"fingerprint":["{{ nope }}","{{ message }}"],"message":"n 5"}"#;
    let grouping = group(&normalised(json), &config);
    // md5 of "{{ nope }}n 5": neither is the variable known nor the message parameterised.
    assert_eq!(hash(&grouping, "custom_fingerprint").as_deref(), Some("72d7473b60545cd2fc582f17a2831edc"));
}

/// Members of an exception group by type and value, under a root.
fn exception_group(members: &[(&str, &str)]) -> String {
    let mut values: Vec<serde_json::Value> = members
        .iter()
        .enumerate()
        .map(|(index, (kind, value))| {
            serde_json::json!({"type": kind, "value": value,
                "mechanism": {"type": "chained", "exception_id": index + 1, "parent_id": 0}})
        })
        .rev()
        .collect();
    values.push(serde_json::json!({"type": "ExceptionGroup", "value": "all",
        "mechanism": {"type": "generic", "exception_id": 0, "is_exception_group": true}}));
    serde_json::json!({"platform": "javascript", "exception": {"values": values}}).to_string()
}

#[test]
fn equal_members_of_an_exception_group_count_once() {
    fn check(members: &[(&str, &str)], app: &[&str], title: &str) {
        let summary = summarise(&normalised(&exception_group(members)));
        assert_eq!(hash(&summary.grouping, "app"), hash_of(app), "{members:?}");
        assert_eq!(summary.title, title, "{members:?}");
    }
    check(&[("A", "x"), ("A", "x")], &["A", "x"], "A: x");
    check(&[("A", "x"), ("B", "x")], &["B", "x", "A", "x", "ExceptionGroup", "all"], "ExceptionGroup: all");
    check(&[("A", "x 1"), ("A", "x 2")], &["A", "x <int>"], "A: x 1");
}

#[test]
fn exception_groups_that_contradict_themselves_are_chains() {
    for (from, to) in [
        (r#""exception_id":0"#, r#""exception_id":1"#),
        (r#""exception_id":1"#, r#""exception_id":2"#),
        (r#""exception_id":0"#, r#""exception_id":0,"parent_id":1"#),
        (r#""parent_id":0"#, r#""parent_id":2"#),
    ] {
        let json = exception_group(&[("A", "x"), ("A", "x")]).replace(from, to);
        let grouping = group(&normalised(&json), &GroupConfig::default());
        assert!(hash(&grouping, "app").is_some(), "{json}");
    }
}

#[test]
fn an_explanation_names_the_rules() {
    let config = with_stack_rules("function:work -group");
    let explanation = explain(&normalised(STACK), &config);
    let text = explanation.to_string();
    assert!(
        text.contains(r#""hint":"a rule leaves it out","#) && text.contains(r#""rule":"function:work -group""#),
        "{text}"
    );
    assert_eq!(explanation["components"]["app"]["contributes"], true);
    assert_eq!(explanation["stacks"][0]["frames"][1]["in_app"], false);
}
