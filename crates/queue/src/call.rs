//! A call: the payload of a job whose task takes arguments. Its shape is the body of Celery's message protocol 2, a JSON
//! array `[args, kwargs, embed]`, on every broker, so that a call means the same wherever it was published.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Arguments of a task, and what is to follow it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    pub args: Vec<Value>,
    pub kwargs: Map<String, Value>,
    pub embed: Embed,
}

/// What follows a call. Signatures are kept as they came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Embed {
    pub callbacks: Option<Vec<Value>>,
    pub errbacks: Option<Vec<Value>>,
    /// The next step is the last.
    pub chain: Option<Vec<Value>>,
    pub chord: Option<Value>,
}

/// Why a payload is no call.
#[derive(Debug, thiserror::Error)]
#[error("read the payload as [args, kwargs, embed]")]
pub struct CallError(#[source] serde_json::Error);

impl Call {
    /// # Errors
    /// If the payload is not a JSON array of arguments, keyword arguments and what follows.
    pub fn parse(payload: &[u8]) -> Result<Call, CallError> {
        let (args, kwargs, embed): (Vec<Value>, Map<String, Value>, Option<Embed>) =
            serde_json::from_slice(payload).map_err(CallError)?;
        Ok(Call { args, kwargs, embed: embed.unwrap_or_default() })
    }

    /// Returns the payload.
    pub fn to_payload(&self) -> bytes::Bytes {
        let parts = (&self.args, &self.kwargs, &self.embed);
        serde_json::to_vec(&parts).expect("JSON values can be written").into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_the_body_of_celerys_protocol() {
        let text = br#"[[1,"two"],{"three":3},{"callbacks":null,"errbacks":null,"chain":null,"chord":null}]"#;
        let call = Call::parse(text).expect("a call");
        assert_eq!((call.args.len(), &call.kwargs["three"]), (2, &Value::from(3)));
        assert_eq!(&call.to_payload()[..], &text[..]);
        assert!(Call::parse(b"{}").is_err());
        assert_eq!(Call::parse(b"[[],{},null]").expect("no embed"), Call::default());
    }
}
