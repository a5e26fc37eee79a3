//! What can go wrong with a request, as RFC 9457 problems: the one place where the errors of all
//! modules become HTTP statuses.
//!
//! Invariants: one code means one status; the codes are a closed set, published in the OpenAPI
//! document; 429 and 503 say when to try again. Deliberately absent: codes of single events (see
//! `wire::contract::error` and `domain::record::Refusal`), which stand inside an answer.

use std::collections::BTreeMap;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};

use crate::domain::record::Refusal;
use crate::engine::EngineError;
use crate::wire::contract::error::{BodyError, Code as FieldCode, RequestError};

macro_rules! codes {
    (@retry) => { Retry::InVain };
    (@retry $retry:expr) => { $retry };
    ($($(#[doc = $doc:literal])* $variant:ident = $text:literal, $status:ident
        $(, $retry:expr)?;)*) => {
        /// What went wrong: a stable code, in answers and on metrics alike.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[doc = $doc])* $variant,)*
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The stable text.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }

            /// The one status of the code.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self {
                    $(Self::$variant => StatusCode::$status,)*
                }
            }

            /// What the code means: the title of its problems.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($doc),*).trim_ascii(),)*
                }
            }

            const fn retry(self) -> Retry {
                match self {
                    $(Self::$variant => codes!(@retry $($retry)?),)*
                }
            }
        }
    };
}

codes! {
    /// The body is not JSON of the expected shape
    InvalidJson = "invalid_json", BAD_REQUEST;
    /// The body holds more events than one request may
    TooManyEvents = "too_many_events", BAD_REQUEST;
    /// The body is nested deeper than it may be
    TooDeep = "too_deep", BAD_REQUEST;
    /// The body does not decompress
    InvalidEncoding = "invalid_encoding", BAD_REQUEST;
    /// The body ended before its length
    IncompleteBody = "incomplete_body", BAD_REQUEST, Retry::After(0);
    /// A query parameter that the path does not have
    UnknownParameter = "unknown_parameter", BAD_REQUEST;
    /// A query parameter is missing
    MissingParameter = "missing_parameter", BAD_REQUEST;
    /// A parameter has a value that it cannot have
    InvalidParameter = "invalid_parameter", BAD_REQUEST;
    /// What stands there is no object
    InvalidEvent = "invalid_event", BAD_REQUEST;
    /// A type that is not known
    UnknownType = "unknown_type", BAD_REQUEST;
    /// A field that the request does not have
    UnknownField = "unknown_field", BAD_REQUEST;
    /// A field is given more than once
    DuplicateField = "duplicate_field", BAD_REQUEST;
    /// A required field is missing or null
    MissingField = "missing_field", BAD_REQUEST;
    /// A field holds what is no name
    InvalidIdentifier = "invalid_identifier", BAD_REQUEST;
    /// A field holds what is no text, or too much of it
    InvalidText = "invalid_text", BAD_REQUEST;
    /// A field holds none of the values that it takes
    InvalidValue = "invalid_value", BAD_REQUEST;
    /// A field holds what is no number of its range
    InvalidNumber = "invalid_number", BAD_REQUEST;
    /// A field holds what is no quantity
    InvalidQuantity = "invalid_quantity", BAD_REQUEST;
    /// A field holds what is no price
    InvalidPrice = "invalid_price", BAD_REQUEST;
    /// A field holds what is no amount of money
    InvalidAmount = "invalid_amount", BAD_REQUEST;
    /// A field holds what is no time of 1990 to 2200
    InvalidTime = "invalid_time", BAD_REQUEST;

    /// No token, or one that is not known
    Unauthorized = "unauthorized", UNAUTHORIZED;
    /// The token does not allow this
    Forbidden = "forbidden", FORBIDDEN;
    /// It needs the scope `release`
    NeedsRelease = "needs_release", FORBIDDEN;

    /// There is nothing at this path
    UnknownPath = "unknown_path", NOT_FOUND;
    /// The account is not known
    UnknownAccount = "unknown_account", NOT_FOUND;
    /// The symbol is not known
    UnknownSymbol = "unknown_symbol", NOT_FOUND;
    /// The strategy is not known
    UnknownStrategy = "unknown_strategy", NOT_FOUND;
    /// The breakdown is switched off
    BreakdownOff = "breakdown_off", NOT_FOUND;
    /// No such order is held
    UnknownOrder = "unknown_order", NOT_FOUND;
    /// The component is not known
    UnknownComponent = "unknown_component", NOT_FOUND;
    /// A cause named for release does not exist
    UnknownCause = "unknown_cause", NOT_FOUND;
    /// Nothing of that name is there to act on
    NotFound = "not_found", NOT_FOUND;

    /// The path does not take this method
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED;
    /// The body did not come in time
    BodyTimeout = "body_timeout", REQUEST_TIMEOUT, Retry::After(0);

    /// The same id came before with other content
    Conflict = "conflict", CONFLICT;
    /// The epoch is not the current one
    StaleEpoch = "stale_epoch", CONFLICT;
    /// Nothing is set that could be released
    NothingToRelease = "nothing_to_release", CONFLICT;
    /// A cause is still open
    CauseOpen = "cause_open", CONFLICT;
    /// The series still has state: a position, an open drift or open orders
    InUse = "in_use", CONFLICT;

    /// The body is larger than it may be
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE;
    /// The body is of a type that the path does not take
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE;
    /// The body is encoded in a way that is not understood
    UnsupportedEncoding = "unsupported_encoding", UNSUPPORTED_MEDIA_TYPE;

    /// It is older than events may be
    TooOld = "too_old", UNPROCESSABLE_ENTITY;
    /// The order has as many facts as are kept of one
    OrderTooLong = "order_too_long", UNPROCESSABLE_ENTITY;
    /// There are as many accounts as are kept
    TooManyAccounts = "too_many_accounts", UNPROCESSABLE_ENTITY;
    /// The account has as many components as are kept
    TooManyComponents = "too_many_components", UNPROCESSABLE_ENTITY;
    /// The symbol has as many currencies as are kept
    TooManyCurrencies = "too_many_currencies", UNPROCESSABLE_ENTITY;
    /// A total would leave the range that is held exactly
    OutOfRange = "out_of_range", UNPROCESSABLE_ENTITY;
    /// The configuration on disk is not valid: the old one stays in force
    InvalidConfig = "invalid_config", UNPROCESSABLE_ENTITY;

    /// A defect of the exporter
    Internal = "internal", INTERNAL_SERVER_ERROR;

    /// As many requests wait as may
    Overloaded = "overloaded", SERVICE_UNAVAILABLE, Retry::After(1);
    /// The journal failed: nothing is taken until a restart
    JournalFailed = "journal_failed", SERVICE_UNAVAILABLE, Retry::AfterRestart(30);
    /// The disk is full
    DiskFull = "disk_full", SERVICE_UNAVAILABLE, Retry::After(30);
    /// The exporter is starting, ending, or cannot keep what it is told
    NotReady = "not_ready", SERVICE_UNAVAILABLE, Retry::After(2);
}

/// What happens when the same request is sent again to the same process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Retry {
    /// The same refusal.
    InVain,
    /// It may be taken after this many seconds.
    After(u16),
    /// It will not be taken before a restart; a client keeps what it has and asks again after this
    /// many seconds.
    AfterRestart(u16),
}

/// A refused request.
#[derive(Clone, Debug)]
pub struct Problem {
    code: Code,
    detail: String,
    index: Option<usize>,
    field: Option<String>,
    epochs: BTreeMap<String, u64>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem of that code; `detail` says what it is this time.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            index: None,
            field: None,
            epochs: BTreeMap::new(),
            headers: Vec::new(),
        }
    }

    /// The same, about a field or a parameter.
    #[must_use]
    pub fn of_field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// The same, about one event of the body.
    #[must_use]
    pub fn of_event(mut self, index: usize) -> Self {
        self.index = Some(index);
        self
    }

    /// The same, with the epochs that a release would have to name now.
    #[must_use]
    pub fn with_epochs(mut self, epochs: BTreeMap<String, u64>) -> Self {
        self.epochs = epochs;
        self
    }

    /// The same, with a header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Its code.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// What it is this time.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

/// A refused request, as RFC 9457 has it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemBody<'a> {
    /// A URN made of the code.
    #[serde(rename = "type")]
    #[schema(example = "urn:trading-exporter:problem:unknown_parameter")]
    problem_type: String,
    /// What the code means.
    title: &'static str,
    /// The status of the answer.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What it is this time, for people.
    detail: &'a str,
    /// The stable code, for programs.
    #[schema(schema_with = code_schema)]
    code: &'static str,
    /// Whether the same request may be taken later by the same process.
    retryable: bool,
    /// The event at fault: its place in the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    index: Option<usize>,
    /// The field or parameter at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    field: Option<&'a str>,
    /// Of a refused release: what a release names now, by account, and by `*` for the latch of all.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    epochs: &'a BTreeMap<String, u64>,
}

fn code_schema() -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::String))
        .description(Some("The stable code, for programs."))
        .enum_values(Some(Code::ALL.iter().map(|code| code.as_str())))
        .into()
}

/// The media type of problems.
pub(super) const PROBLEM_JSON: &str = "application/problem+json";

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let code = self.code;
        let body = ProblemBody {
            problem_type: format!("urn:trading-exporter:problem:{}", code.as_str()),
            title: code.title(),
            status: code.status().as_u16(),
            detail: &self.detail,
            code: code.as_str(),
            retryable: matches!(code.retry(), Retry::After(_)),
            index: self.index,
            field: self.field.as_deref(),
            epochs: &self.epochs,
        };
        // Serialization of these fields cannot fail; an empty body would still carry its status.
        let json = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = (code.status(), json).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Retry::After(seconds @ 1..) | Retry::AfterRestart(seconds) = code.retry() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        headers.extend(self.headers);
        response.extensions_mut().insert(code);
        response
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        let code = match error {
            EngineError::Overloaded => Code::Overloaded,
            EngineError::JournalFailed => Code::JournalFailed,
            EngineError::DiskFull => Code::DiskFull,
            EngineError::Closed => Code::NotReady,
        };
        Self::new(code, error.to_string())
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal {
            Refusal::Conflict => Code::Conflict,
            Refusal::TooOld => Code::TooOld,
            Refusal::OrderTooLong => Code::OrderTooLong,
            Refusal::TooManyAccounts => Code::TooManyAccounts,
            Refusal::TooManyComponents => Code::TooManyComponents,
            Refusal::TooManyCurrencies => Code::TooManyCurrencies,
            Refusal::OutOfRange => Code::OutOfRange,
            Refusal::StaleEpoch => Code::StaleEpoch,
            Refusal::UnknownCause => Code::UnknownCause,
            Refusal::NothingToRelease => Code::NothingToRelease,
            Refusal::CauseOpen => Code::CauseOpen,
            Refusal::UnknownAccount => Code::UnknownAccount,
            Refusal::NotFound => Code::NotFound,
            Refusal::NeedsRelease => Code::NeedsRelease,
            Refusal::InUse => Code::InUse,
            Refusal::InvalidConfig => Code::InvalidConfig,
        };
        Self::new(code, refusal.to_string())
    }
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Self {
        let code = match error {
            BodyError::Empty | BodyError::Syntax(_) | BodyError::NotAnObject => Code::InvalidJson,
            BodyError::TooManyEvents { .. } => Code::TooManyEvents,
            BodyError::TooDeep { .. } => Code::TooDeep,
        };
        Self::new(code, error.to_string())
    }
}

impl From<RequestError> for Problem {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Body(error) => error.into(),
            RequestError::Field { code, field, message } => {
                let problem = Self::new(code.into(), message);
                match field {
                    Some(field) => problem.of_field(field),
                    None => problem,
                }
            }
        }
    }
}

impl From<FieldCode> for Code {
    fn from(code: FieldCode) -> Self {
        match code {
            FieldCode::InvalidJson => Self::InvalidJson,
            FieldCode::InvalidEvent => Self::InvalidEvent,
            FieldCode::UnknownType => Self::UnknownType,
            FieldCode::UnknownField => Self::UnknownField,
            FieldCode::DuplicateField => Self::DuplicateField,
            FieldCode::MissingField => Self::MissingField,
            FieldCode::InvalidIdentifier => Self::InvalidIdentifier,
            FieldCode::InvalidText => Self::InvalidText,
            FieldCode::InvalidValue => Self::InvalidValue,
            FieldCode::InvalidNumber => Self::InvalidNumber,
            FieldCode::InvalidQuantity => Self::InvalidQuantity,
            FieldCode::InvalidPrice => Self::InvalidPrice,
            FieldCode::InvalidAmount => Self::InvalidAmount,
            FieldCode::InvalidTime => Self::InvalidTime,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes of events and decisions stand in answers beside the codes of problems: the same text
    /// must mean the same.
    #[test]
    fn texts_are_those_of_the_other_modules() {
        for code in FieldCode::ALL {
            assert_eq!(Code::from(code).as_str(), code.as_str());
        }
        for refusal in [
            Refusal::Conflict,
            Refusal::TooOld,
            Refusal::OrderTooLong,
            Refusal::TooManyAccounts,
            Refusal::TooManyComponents,
            Refusal::TooManyCurrencies,
            Refusal::OutOfRange,
            Refusal::StaleEpoch,
            Refusal::UnknownCause,
            Refusal::NothingToRelease,
            Refusal::CauseOpen,
            Refusal::UnknownAccount,
            Refusal::NotFound,
            Refusal::NeedsRelease,
            Refusal::InUse,
            Refusal::InvalidConfig,
        ] {
            assert_eq!(Problem::from(refusal).code().as_str(), refusal.code());
        }
        let body = [
            BodyError::Empty,
            BodyError::NotAnObject,
            BodyError::TooDeep { max: 1 },
            BodyError::TooManyEvents { max: 1 },
        ];
        for error in body {
            let text = error.code();
            assert_eq!(Problem::from(error).code().as_str(), text);
        }
    }

    #[test]
    fn one_code_has_one_text() {
        let texts: BTreeMap<&str, StatusCode> =
            Code::ALL.iter().map(|code| (code.as_str(), code.status())).collect();
        assert_eq!(texts.len(), Code::ALL.len());
        assert!(Code::ALL.iter().all(|c| !c.title().is_empty() && !c.title().ends_with('.')));
    }

    #[test]
    fn answers_say_when_to_try_again() {
        let check = |code: Code, retryable: bool, retry_after: Option<&str>| {
            let response = Problem::new(code, "why").into_response();
            assert_eq!(response.status(), code.status());
            let header = response.headers().get(header::RETRY_AFTER);
            assert_eq!(header.map(|v| v.to_str().expect("text")), retry_after, "{code:?}");
            assert_eq!(matches!(code.retry(), Retry::After(_)), retryable, "{code:?}");
        };
        check(Code::Overloaded, true, Some("1"));
        check(Code::NotReady, true, Some("2"));
        check(Code::DiskFull, true, Some("30"));
        check(Code::JournalFailed, false, Some("30"));
        check(Code::BodyTimeout, true, None);
        check(Code::Forbidden, false, None);
        let unavailable = |code: &&Code| code.status() == StatusCode::SERVICE_UNAVAILABLE;
        for code in Code::ALL.iter().filter(unavailable) {
            let response = Problem::new(*code, "why").into_response();
            assert!(response.headers().contains_key(header::RETRY_AFTER), "{code:?}");
        }
    }
}
