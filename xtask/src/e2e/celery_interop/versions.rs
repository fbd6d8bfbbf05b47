//! Older kombus on the same wire: a smoke of both directions with each.

use super::on_one_redis;
use crate::e2e::celery::{Celery, OLD_VERSIONS};
use crate::e2e::redis::Options;
use crate::e2e::{Case, Verdict};
use anyhow::{Context, ensure};
use serde_json::json;

pub fn run(case: &Case<'_>) -> anyhow::Result<Verdict> {
    let (house, redis, _) = on_one_redis(case, Options::default())?;
    let mut worker = house.worker("versions", &[])?;
    let mut seen = Vec::new();
    for (kombu, _) in OLD_VERSIONS {
        let celery = Celery::old(kombu, &redis.url(0), &house.folder)?;
        let mut client = celery.client()?;
        let about = client.call("about", json!({}))?;
        ensure!(about["kombu"] == *kombu, "this is not kombu {kombu}: {about}");
        client.scenarios(&["smoke"]).with_context(|| format!("kombu {kombu}"))?;
        let _python = celery.worker("old", "python")?;
        let came = house.call("python.value", &json!([kombu]), &["--queue", "python"]);
        let came = came.with_context(|| format!("from Vigie to kombu {kombu}"))?;
        ensure!(came == *kombu, "kombu {kombu} came back as {came}");
        seen.push(*kombu);
    }
    worker.terminate()?;
    house.end();
    Ok(Verdict::Passed(format!("kombu {}: there and back", seen.join(", "))))
}
