//! Programs that read the web, by their user agents.

use aho_corasick::AhoCorasick;
use std::sync::LazyLock;

const CRAWLERS: &[&str] = &[
    "googlebot",
    "adsbot",
    "mediapartners-google",
    "feedfetcher-google",
    "bingbot",
    "bingpreview",
    "baiduspider",
    "slurp",
    "sogou",
    "facebookexternalhit",
    "facebookcatalog",
    "facebot",
    "meta-externalagent",
    "ia_archiver",
    "bot/",
    "bots/",
    "bot;",
    "bot)",
    "bots ",
    "-bot ",
    "spider/",
    "spider ",
    "slack",
    "pingdom",
    "lyticsbot",
    "hubspot crawler",
    "bytespider",
    "better uptime",
    "cloudflare-healthchecks",
    "gptbot",
    "calypso appcrawler",
    "aws security scanner",
    "uptimerobot",
];
/// A bot that people asked for, by posting a link.
const ALLOWED: &str = "slackbot 1.";

static NAMES: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let built = AhoCorasick::builder().ascii_case_insensitive(true).build(CRAWLERS);
    built.expect("some thirty short words fit an automaton")
});

pub(super) fn is_crawler(user_agent: &str) -> bool {
    NAMES.is_match(user_agent) && !user_agent.to_ascii_lowercase().contains(ALLOWED)
}
