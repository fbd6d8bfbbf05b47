//! Every template is rendered, for a member and for a superuser.

use super::fixtures::{self, now, shell};
use crate::components::issue_row::IssueRow;
use crate::components::notice::Notice;
use crate::components::pager::Pager;
use crate::components::snippets::Snippets;
use crate::components::stacktrace::FrameChoice;
use crate::format::Ago;
use crate::pages::{
    account, errors, event_list, grouping_lab, issue, issue_list, login, merged, project, project_filters,
    project_list, project_scrubbing,
};
use askama::Template;
use ops::grouping::{Destination, Outcome, TrialReport};
use ops::issues::{IssueStatus, SeriesPeriod};
use ops::keys::Key;
use ops::page::PageLink;
use ops::project_settings::ProjectSettings;
use ops::projects::ProjectRef;
use ops::sessions::Session;
use ops::tokens::Token;
use std::path::Path;

/// Returns every page with `text` in every field that a stranger fills, by the name of its template.
pub fn every_page(text: &str) -> Vec<(&'static str, String)> {
    let mut pages = Vec::new();
    for is_superuser in [false, true] {
        pages.extend([
            ("issue_list.html", render(&issue_list(text, is_superuser))),
            ("issue.html", render(&issue_page(text, is_superuser, FrameChoice::App))),
            ("issue.html", render(&issue_page(text, is_superuser, FrameChoice::All))),
            ("event_list.html", render(&event_list(text, is_superuser))),
            ("grouping_lab.html", render(&grouping_lab(text, is_superuser))),
            ("merged.html", render(&merged(text, is_superuser))),
            ("project_list.html", render(&project_list(text, is_superuser))),
            ("project_new.html", render(&project_form(text, is_superuser))),
            ("project.html", render(&project(text, is_superuser))),
            ("project_filters.html", render(&filters(text, is_superuser))),
            ("project_scrubbing.html", render(&scrubbing(text, is_superuser))),
            ("account.html", render(&account(text, is_superuser))),
        ]);
    }
    pages.extend([("login.html", render(&login(text))), ("error.html", render(&error(text)))]);
    pages.extend(super::console::pages(text));
    pages.extend(empty_lists(text).iter().map(|page| ("issue_list.html", render(page))));
    pages
}

fn filters(text: &str, is_superuser: bool) -> project_filters::FiltersPage {
    let project = ProjectRef { org: text.to_owned(), project: text.to_owned() };
    let mut settings = ProjectSettings::default();
    settings.filters.error_messages = vec![text.to_owned()];
    settings.filters.releases = vec![text.to_owned()];
    let mut page = project_filters::FiltersPage::of(shell(is_superuser), &project, &settings);
    page.problem = Some(text.to_owned());
    page
}

fn scrubbing(text: &str, is_superuser: bool) -> project_scrubbing::ScrubbingPage {
    let change = project_scrubbing::ChangeRow { path: text.to_owned(), rule: text.to_owned(), what: "removed" };
    project_scrubbing::ScrubbingPage {
        shell: shell(is_superuser),
        path: text.to_owned(),
        is_saved: false,
        problem: Some(text.to_owned()),
        form: project_scrubbing::ScrubbingForm {
            sensitive_fields: text.to_owned(),
            safe_fields: text.to_owned(),
            rules: text.to_owned(),
            event: text.to_owned(),
            ..Default::default()
        },
        preview: Some(project_scrubbing::Preview { changes: vec![change], more: 2, event: text.to_owned() }),
    }
}

pub fn render(page: &impl Template) -> String {
    page.render().expect("the page renders")
}

fn pager() -> Pager {
    let link = |has_results| PageLink { cursor: "1:2:0".to_owned(), has_results };
    Pager::of("/?query=x", &link(true), &link(false))
}

pub fn issue_list(text: &str, is_superuser: bool) -> issue_list::IssueListPage {
    let mut shell = shell(is_superuser);
    shell.notice = Some(Notice {
        status: IssueStatus::Resolved,
        undo: IssueStatus::Unresolved,
        ids: vec![1, 2],
        path: text.to_owned(),
    });
    issue_list::IssueListPage {
        shell,
        filters: issue_list::Filters {
            query: Some(text.to_owned()),
            project: text.to_owned(),
            environment: text.to_owned(),
            ..Default::default()
        },
        tabs: vec![issue_list::Tab { name: "Unresolved", url: "/".to_owned(), is_current: true }],
        projects: vec![fixtures::project(text), fixtures::project(text)],
        environments: vec![text.to_owned()],
        rows: vec![IssueRow::of(&fixtures::issue(text), now())],
        pager: pager(),
        empty: None,
        problem: Some(text.to_owned()),
    }
}

fn empty_lists(text: &str) -> Vec<issue_list::IssueListPage> {
    let drop = issue_list::FilterDrop { filter: text.to_owned(), url: "/".to_owned(), helps: true };
    let empties = [
        issue_list::Empty::NoEvents { project: Some(fixtures::project(text)) },
        issue_list::Empty::NoEvents { project: None },
        issue_list::Empty::Clear { last_event: Some(Ago { time: fixtures::minutes_ago(3), now: now() }) },
        issue_list::Empty::NoMatch { filters: vec![drop] },
        issue_list::Empty::PastTheEnd,
    ];
    let page = |empty| issue_list::IssueListPage {
        rows: Vec::new(),
        empty: Some(empty),
        pager: Pager::none(),
        ..issue_list(text, false)
    };
    empties.into_iter().map(page).collect()
}

fn issue_page(text: &str, is_superuser: bool, choice: FrameChoice) -> issue::IssuePage {
    issue::IssuePage::of(shell(is_superuser), fixtures::issue_facts(text), choice, now())
}

fn event_list(text: &str, is_superuser: bool) -> event_list::EventListPage {
    let event = fixtures::event(text).summary;
    event_list::EventListPage {
        shell: shell(is_superuser),
        head: issue::IssueHead::of(&fixtures::issue(text), now()),
        rows: vec![event_list::EventRow::of(&event, "/issues/17/events/", now())],
        pager: pager(),
    }
}

fn grouping_lab(text: &str, is_superuser: bool) -> grouping_lab::LabPage {
    let issue = || fixtures::issue(text);
    let destinations = vec![
        (Destination::Same, 3),
        (Destination::Other(Box::new(issue())), 2),
        (Destination::New { hash: text.to_owned(), issues: 2 }, 1),
        (Destination::New { hash: text.to_owned(), issues: 1 }, 1),
    ];
    let report = TrialReport {
        examined: 300,
        unchanged: 290,
        outcomes: vec![Outcome { issue: issue(), destinations }],
        outcomes_left_out: 2,
        is_cut: true,
    };
    grouping_lab::LabPage {
        shell: shell(is_superuser),
        name: text.to_owned(),
        path: "acme/shop".to_owned(),
        config: "newstyle:2023-01-11".to_owned(),
        stack_rules: text.to_owned(),
        fingerprint_rules: text.to_owned(),
        revision: 3,
        events: 300,
        may_set: is_superuser,
        problem: Some(text.to_owned()),
        was_set: true,
        report: Some(grouping_lab::ReportView::of(&report)),
    }
}

fn merged(text: &str, is_superuser: bool) -> merged::MergedPage {
    let head = issue::IssueHead::of(&fixtures::issue(text), now());
    merged::MergedPage::of(shell(is_superuser), head, &fixtures::lineage(text), now())
}

fn project_list(text: &str, is_superuser: bool) -> project_list::ProjectListPage {
    let row = |last_event| project_list::ProjectRow {
        url: "/projects/acme/shop/".to_owned(),
        issues_url: "/?project=acme%2Fshop".to_owned(),
        name: text.to_owned(),
        path: "acme/shop".to_owned(),
        platform: text.to_owned(),
        last_event,
    };
    let last_event = Some(Ago { time: fixtures::minutes_ago(3), now: now() });
    project_list::ProjectListPage {
        shell: shell(is_superuser),
        rows: vec![row(last_event), row(None)],
        may_create: true,
    }
}

fn project_form(text: &str, is_superuser: bool) -> project_list::ProjectFormPage {
    project_list::ProjectFormPage {
        shell: shell(is_superuser),
        organizations: vec![fixtures::project(text).organization],
        input: project_list::ProjectForm { org: text.to_owned(), slug: text.to_owned(), ..Default::default() },
        problem: Some(text.to_owned()),
    }
}

fn project(text: &str, has_events: bool) -> project::ProjectPage {
    let key = Key {
        id: 1,
        project_id: 1,
        public_key: "0".repeat(32),
        secret_key: "1".repeat(32),
        label: text.to_owned(),
        is_active: false,
        created_at: now(),
        dsn_public: format!("http://{}@127.0.0.1:9000/1", "0".repeat(32)),
    };
    let series: Vec<_> = (0..24).map(|hour| (fixtures::minutes_ago(60 * (24 - hour)), 5)).collect();
    project::ProjectPage {
        shell: shell(true),
        name: text.to_owned(),
        path: "acme/shop".to_owned(),
        platform: text.to_owned(),
        issues_url: "/?project=acme%2Fshop".to_owned(),
        first_event_url: "/projects/acme/shop/first-event/".to_owned(),
        last_event: has_events.then(|| Ago { time: fixtures::minutes_ago(3), now: now() }),
        keys: vec![project::KeyRow::of(&key)],
        snippets: Some(Snippets::of(&key.dsn_public, Some(text))),
        chart: has_events.then(|| crate::components::chart::Chart::without_links(&series, SeriesPeriod::Day, "/")),
    }
}

fn account(text: &str, is_superuser: bool) -> account::AccountPage {
    let token = Token {
        id: 1,
        user_id: 1,
        user_email: text.to_owned(),
        hint: "abcd".to_owned(),
        scopes: vec!["event:read"],
        created_at: now(),
        last_used_at: None,
        revoked_at: None,
    };
    let session = Session { id: "0".to_owned(), user_agent: text.to_owned(), created_at: now(), last_seen_at: now() };
    account::AccountPage {
        shell: shell(is_superuser),
        email: text.to_owned(),
        name: text.to_owned(),
        tokens: vec![account::TokenRow::of(&token, now())],
        scopes: vec!["event:read"],
        created: Some("vgu_x".to_owned()),
        sessions: vec![account::SessionView::of(session, "1", now())],
    }
}

fn login(text: &str) -> login::LoginPage {
    let shell = crate::shell::Shell { user: None, ..shell(false) };
    login::LoginPage { shell, next: text.to_owned(), email: text.to_owned(), problem: Some(text.to_owned()) }
}

fn error(text: &str) -> errors::ErrorPage {
    errors::ErrorPage {
        shell: shell(false),
        status: 500,
        heading: "Something broke on our side",
        sentence: text.to_owned(),
        incident: Some("0a1b".to_owned()),
    }
}

/// Returns the templates in the folder, by path below it.
pub fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("the folder is there") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(&root).expect("below the root").to_string_lossy().into_owned();
            found.push((name, std::fs::read_to_string(&path).expect("a template is text")));
        }
    }
    found
}

#[test]
fn every_template_in_the_folder_is_rendered_by_a_test() {
    let rendered: Vec<_> = every_page("text").into_iter().map(|(name, _)| name.to_owned()).collect();
    let sources = sources();
    for (name, _) in &sources {
        let is_page = rendered.contains(name) || name == "layout.html" || name == "system/console.html";
        // A part is drawn by the page that includes it, or by the component that names it.
        let stem = name.trim_start_matches("components/").trim_end_matches(".html");
        let is_included = sources.iter().any(|(_, other)| other.contains(&format!("include \"{name}\"")));
        let is_component = name.starts_with("components/") && component_marks(stem).iter().all(|mark| drawn(mark));
        assert!(is_page || is_included || is_component, "{name} is rendered by no test");
    }
}

/// Returns what the pages must hold where the component is drawn.
fn component_marks(component: &str) -> &'static [&'static str] {
    match component {
        "attachments" => &["class=\"files\""],
        "breadcrumbs" => &["class=\"crumbs\""],
        "chart" => &["class=\"chart\""],
        "data_table" => &["class=\"data\""],
        "event_bar" => &["class=\"event-bar\""],
        "event_sections" => &["id=\"processing\""],
        "exception" => &["class=\"exception\"", "class=\"connective\""],
        "grouping" => &["class=\"group-tree\"", "class=\"group-rules\""],
        "frame" => &["class=\"frame in-app\"", "class=\"line failing\"", "class=\"line caret\""],
        "issue_row" => &["class=\"headline\""],
        "message" => &["class=\"message-text\""],
        "notice" => &["class=\"notice\""],
        "pager" => &["class=\"pager\""],
        "receipt" => &["class=\"receipt\""],
        "request" => &["class=\"request-line\""],
        "snippets" => &["class=\"snippets\""],
        "sparkline" => &["class=\"sparkline\""],
        "stacktrace" => &["class=\"frames\"", "class=\"rolled\""],
        "tag_table" => &["class=\"tag-table\""],
        "threads" => &["class=\"thread\""],
        _ => &["a component without a mark"],
    }
}

fn drawn(mark: &str) -> bool {
    every_page("text").iter().any(|(_, page)| page.contains(mark))
}

#[test]
fn only_superusers_see_the_way_to_the_system_page() {
    let has_link = |is_superuser| render(&issue_list("x", is_superuser)).contains("href=\"/system/\"");
    assert_eq!((has_link(false), has_link(true)), (false, true));
}

#[test]
fn the_first_load_is_small() {
    const BUDGET: usize = 100_000;
    let page = render(&issue_page("text", true, FrameChoice::App));
    let mut total = crate::assets::gzip(page.as_bytes(), flate2::Compression::fast()).len();
    for asset in ["vigie.css", "vigie.js", "icon.svg"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("static").join(asset);
        let plain = std::fs::read(path).expect("the asset is there");
        total += crate::assets::gzip(&plain, flate2::Compression::best()).len();
    }
    assert!(total < BUDGET, "{total} bytes");
}
