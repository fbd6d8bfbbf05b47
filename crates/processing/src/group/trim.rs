//! Names of native functions without what varies or only decorates: arguments, template arguments, return types,
//! qualifiers, hashes. `void ns::Foo<int>::bar(std::string const&) const` is `ns::Foo<T>::bar`.
//!
//! A fixed list of steps on the text (specification of grouping, §6), odd corners included: hashes depend on each.

mod text;

use crate::in_app::Family;
use std::borrow::Cow;
use text::{
    LambdaForm, cut_enclosed, has_word_start_before, split_tokens, strip_anonymous_hash, strip_glibc, strip_rust_hash,
    strip_windows_decoration,
};

/// Characters that stand in for text that the steps must not take apart. They are from a private plane, in which no
/// name can be.
const LESS: char = '\u{10fff0}';
const CALL: char = '\u{10fff1}';
const ARROW: char = '\u{10fff2}';
const ANONYMOUS: char = '\u{10fff3}';
const ANONYMOUS_TEXT: &str = "`anonymous namespace'";
const ARROW_TOKEN: &str = "\u{10fff2}";

/// Returns the name to show and group by. Platforms without signatures in their names keep them as they are.
pub(super) fn trimmed<'f>(function: &'f str, platform: &str) -> Cow<'f, str> {
    if platform == "csharp" {
        return Cow::Borrowed(function.split(" (").next().unwrap_or(function));
    }
    if Family::of(platform) != Family::Native || is_plain(function) {
        return Cow::Borrowed(function);
    }
    Cow::Owned(native(function, platform))
}

/// Whether no step can find anything in the name: most names in C are a word.
fn is_plain(function: &str) -> bool {
    let is_plain_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'.');
    !function.is_empty()
        && function.bytes().all(is_plain_byte)
        && !function.ends_with("const")
        && !function.contains("::h")
        && !function.contains("lambda_")
        && function != "closure"
}

fn native(function: &str, platform: &str) -> String {
    let text = function.trim();
    let is_objective_c = ["[", "+[", "-["].iter().any(|start| text.starts_with(start));
    if is_objective_c || matches!(function, "<redacted>" | "<unknown>") {
        return text.to_owned();
    }
    let text = without_clones(text);
    let text = protected(without_qualifiers(&text));
    let text = with_plain_lambdas(&text);
    let text = strip_anonymous_hash(&text, ANONYMOUS);
    let text = cut_enclosed(&text, '(', ')', &mut |inner, _| match inner.trim() {
        kept @ ("anonymous namespace" | "operator") => format!("({kept})"),
        _ => String::new(),
    });
    let text = without_generics(&text);
    let name = chosen(&text, platform).map_or_else(|| function.to_owned(), |name| restored(&name));
    strip_windows_decoration(strip_glibc(strip_rust_hash(&name))).to_owned()
}

/// Compilers number the copies they make of a function: `foo [clone .isra.0]`.
fn without_clones(text: &str) -> String {
    let cut = cut_enclosed(text, '[', ']', &mut |inner, _| {
        if inner.starts_with("clone .") { String::new() } else { format!("[{inner}]") }
    });
    cut.trim_end().to_owned()
}

fn without_qualifiers(text: &str) -> &str {
    let mut rest = text;
    loop {
        let shorter = match (rest.strip_suffix("const"), rest.strip_suffix('&')) {
            (Some(before), _) if has_word_start_before(before) => before,
            (_, Some(before)) => before,
            _ => return rest,
        };
        rest = shorter.trim_end();
    }
}

fn protected(text: &str) -> String {
    text.replace("operator<<", &format!("operator{LESS}{LESS}"))
        .replace("operator<", &format!("operator{LESS}"))
        .replace("operator()", &format!("operator{CALL}"))
        .replace("operator->", &format!("operator{ARROW}"))
        .replace(" -> ", &format!(" {ARROW} "))
        .replace(ANONYMOUS_TEXT, &ANONYMOUS.to_string())
}

fn restored(name: &str) -> String {
    name.replace(LESS, "<").replace(CALL, "()").replace(ARROW, "->").replace(ANONYMOUS, ANONYMOUS_TEXT)
}

/// Every compiler writes lambdas in another way; all become the word.
fn with_plain_lambdas(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = None;
    while let Some(c) = rest.chars().next() {
        match LambdaForm::length(rest, before) {
            Some(length) => {
                out.push_str("lambda");
                before = rest[..length].chars().next_back();
                rest = &rest[length..];
            }
            None => {
                out.push(c);
                before = Some(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    out
}

fn without_generics(text: &str) -> String {
    cut_enclosed(text, '<', '>', &mut |inner, start| {
        if inner == "lambda" || LambdaForm::length(inner, None).is_some() {
            return format!("<{inner}>");
        }
        if start > 0 {
            return "<T>".to_owned();
        }
        // Rust's `<A as B>` at the very beginning: the type, or the trait where it is for any type.
        let inner = match inner.split_at_checked(1) {
            Some((letter, rest)) if letter.bytes().all(|byte| byte.is_ascii_uppercase()) => {
                rest.strip_prefix(" as ").unwrap_or(inner)
            }
            Some(_) | None => inner,
        };
        let inner = without_generics(inner);
        inner.split(" as ").next().unwrap_or_default().to_owned()
    })
}

/// Returns the word that names the function, out of return types, attributes and Swift's prose.
fn chosen(text: &str, platform: &str) -> Option<String> {
    let mut tokens = split_tokens(text);
    if tokens.len() > 1 && tokens.last().is_some_and(|last| last == "<T>") {
        tokens.pop();
        tokens.last_mut()?.push_str(" <T>");
    }
    let name = match initializer(text, &tokens).or_else(|| before_arrow(&tokens)) {
        Some(name) => name,
        None => tokens.last()?.clone(),
    };
    if name.starts_with('@') && matches!(platform, "cocoa" | "swift") {
        let is_thunk = text.contains("thunk for ");
        return Some(if is_thunk { "thunk for closure" } else { "closure" }.to_owned());
    }
    let is_in_closure = name != "closure" && tokens.iter().any(|token| token == "closure");
    Some(if is_in_closure { format!("closure in {name}") } else { name })
}

/// Swift: `variable initialization expression of static Foo.bar`.
fn initializer(text: &str, tokens: &[String]) -> Option<String> {
    if !text.contains("initialization expression of") {
        return None;
    }
    let of = tokens.iter().rposition(|token| token == "of")?;
    let mut after = tokens.iter().skip(of + 1).skip_while({
        let mut skipped = false;
        move |token| *token == "static" && !std::mem::replace(&mut skipped, true)
    });
    let name = after.next()?;
    Some(format!("initializer expression of {}", name.strip_prefix(':').unwrap_or(name)))
}

/// Swift writes the result after an arrow. Where nothing stands before the arrow the search goes on from the end.
fn before_arrow(tokens: &[String]) -> Option<String> {
    let arrow = tokens.iter().rposition(|token| token == ARROW_TOKEN)?;
    let back = |steps: usize| (arrow + tokens.len() * 2 - steps) % tokens.len();
    let name = &tokens[back(1)];
    Some(if name == "throws" { &tokens[back(2)] } else { name }.clone())
}

#[cfg(test)]
mod tests {
    use super::trimmed;

    #[test]
    fn names_lose_what_decorates_them() {
        fn check(function: &str, expected: &str) {
            assert_eq!(trimmed(function, "native"), expected);
        }
        check("void ns::Foo<int>::bar(std::string const&) const", "ns::Foo<T>::bar");
        check("main", "main");
        check("<redacted>", "<redacted>");
        check(" -[Foo bar:baz:] ", "-[Foo bar:baz:]");
        check("foo [clone .isra.0]", "foo");
        check("operator<<(std::ostream&, int)", "operator<<");
        check("bool Foo::operator()(int) const &", "Foo::operator()");
        check("Foo::operator->()", "Foo::operator->");
        check("void a::b::{lambda(int)#1}::operator()(int)", "a::b::lambda::operator()");
        check("<lambda_0123456789abcdef0123456789abcdef>::operator()", "<lambda>::operator()");
        check("Foo::$_12::call()", "Foo::lambda::call");
        check("?A0x1a2b3c4d::foo", "`anonymous namespace'::foo");
        check("(anonymous namespace)::foo(int)", "(anonymous namespace)::foo");
        check("<T as core::fmt::Debug>::fmt", "core::fmt::Debug::fmt");
        check("<alloc::vec::Vec<T> as core::ops::Drop>::drop", "alloc::vec::Vec<T>::drop");
        check("core::ops::call::h0123456789abcdef", "core::ops::call");
        check("__libc_start_main@@GLIBC_2.34", "__libc_start_main");
        check("@fast@12", "fast");
        check("_stdcall@8", "_stdcall");
        check("@", "@");
        check("", "");
        check("()", "()");
        check("a) b(c)", "ac");
    }

    #[test]
    fn swift_prose_is_reduced_to_a_name() {
        fn check(function: &str, expected: &str) {
            assert_eq!(trimmed(function, "swift"), expected);
        }
        check("Foo.bar(x: Int) -> Swift.Bool", "Foo.bar");
        check("Foo.bar(x: Int) throws -> Swift.Bool", "Foo.bar");
        check("closure #1 (Int) -> () in Foo.bar() -> ()", "closure in Foo.bar");
        check("variable initialization expression of static Foo.bar : Int", "initializer expression of Foo.bar");
        check("reabstraction thunk helper from @callee_guaranteed", "closure");
        check("reabstraction thunk for @callee_guaranteed", "thunk for closure");
        check("->", "->");
    }

    #[test]
    fn other_platforms_keep_their_names() {
        assert_eq!(trimmed("Run (System.String s)", "csharp"), "Run");
        assert_eq!(trimmed("a<b>(c)", "python"), "a<b>(c)");
    }
}
