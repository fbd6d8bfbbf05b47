//! Devices by user agent. Desktop computers that are not Apple's tell nothing and give none.

use super::Device;

const CRAWLERS: &[&str] = &["bot/", "Bot/", "spider/", "facebookexternalhit", "Slurp", "crawler"];

/// Brands by how their models begin, lower case.
const BRANDS: &[(&str, &str)] = &[
    ("sm-", "Samsung"),
    ("gt-", "Samsung"),
    ("samsung", "Samsung"),
    ("pixel", "Google"),
    ("nexus", "Google"),
    ("redmi", "XiaoMi"),
    ("poco", "XiaoMi"),
    ("mi ", "XiaoMi"),
    ("xiaomi", "XiaoMi"),
    ("moto", "Motorola"),
    ("xt1", "Motorola"),
    ("oneplus", "OnePlus"),
    ("huawei", "Huawei"),
    ("honor", "Huawei"),
    ("oppo", "Oppo"),
    ("cph", "Oppo"),
    ("vivo", "Vivo"),
    ("lm-", "LG"),
    ("lg-", "LG"),
    ("nokia", "Nokia"),
    ("sony", "Sony"),
    ("xq-", "Sony"),
    ("asus", "Asus"),
    ("lenovo", "Lenovo"),
    ("kf", "Amazon"),
];

pub(super) fn find(user_agent: &str) -> Option<Device> {
    if CRAWLERS.iter().any(|token| user_agent.contains(token)) {
        return Some(Device { family: "Spider".to_owned(), model: "Desktop".to_owned(), brand: Some("Spider") });
    }
    for name in ["iPhone", "iPad", "iPod"] {
        if user_agent.contains(name) {
            return Some(apple(name));
        }
    }
    if user_agent.contains("Macintosh") {
        return Some(apple("Mac"));
    }
    android_model(user_agent).map(of_model)
}

/// Returns the device of a model's name.
pub(super) fn of_model(model: &str) -> Device {
    let lower = model.to_ascii_lowercase();
    let brand = BRANDS.iter().find(|(start, _)| lower.starts_with(start)).map(|(_, brand)| *brand);
    let family = match brand {
        Some("Samsung") if lower.starts_with("sm-") || lower.starts_with("gt-") => format!("Samsung {model}"),
        Some(_) | None => model.to_owned(),
    };
    Device { family, model: model.to_owned(), brand }
}

fn apple(name: &str) -> Device {
    Device { family: name.to_owned(), model: name.to_owned(), brand: Some("Apple") }
}

/// `(Linux; Android 11; Pixel 5 Build/RQ3A)`: what stands between the version and the build.
fn android_model(user_agent: &str) -> Option<&str> {
    let after = &user_agent[user_agent.find("Android")?..];
    let inside = after.split(')').next()?;
    let is_model = |part: &&str| {
        !part.is_empty() && *part != "wv" && *part != "Mobile" && *part != "Tablet" && !part.starts_with("rv:")
    };
    let is_language = |part: &str| part.len() <= 5 && part.is_ascii() && part.as_bytes().get(2) == Some(&b'-');
    let mut parts = inside.split(';').skip(1).map(str::trim).filter(is_model).filter(|part| !is_language(part));
    let model = parts.next()?.split(" Build").next()?.trim();
    (!model.is_empty()).then_some(model)
}
