//! Refused requests as RFC 9457 problems: the one place where errors of all modules become HTTP
//! statuses.
//!
//! Invariants: one code means one status; the codes are a closed set, published in the OpenAPI
//! document; 503 says when to try again. Deliberately absent: the codes of single events inside an
//! answer (see `wire::contract::error` and `domain::record::Refusal`).

use std::collections::BTreeMap;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};

use crate::domain::record::Refusal;
use crate::engine::EngineError;
use crate::wire::contract::error::{BodyError, FieldCode, RequestError};

macro_rules! codes {
    (@retry) => { RetryAdvice::Useless };
    (@retry $retry:expr) => { $retry };
    ($($(#[doc = $doc:literal])* $variant:ident = $text:literal, $status:ident
        $(, $retry:expr)?;)*) => {
        /// The stable code of a refusal, in answers and as a metric label.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ProblemCode {
            $($(#[doc = $doc])* $variant,)*
        }

        impl ProblemCode {
            /// Every code, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The code in answers and labels.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }

            /// The status of every answer with this code.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self {
                    $(Self::$variant => StatusCode::$status,)*
                }
            }

            /// The title of problems with this code: its doc comment.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($doc),*).trim_ascii(),)*
                }
            }

            const fn retry(self) -> RetryAdvice {
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
    /// The body is no table, or its header does not fit the mapping
    InvalidTable = "invalid_table", BAD_REQUEST;
    /// The body has more events than one request may have
    TooManyEvents = "too_many_events", BAD_REQUEST;
    /// The body is nested too deeply
    TooDeep = "too_deep", BAD_REQUEST;
    /// The body cannot be decompressed
    InvalidEncoding = "invalid_encoding", BAD_REQUEST;
    /// The body ended before it was complete
    IncompleteBody = "incomplete_body", BAD_REQUEST, RetryAdvice::After(0);
    /// The path does not accept this query parameter
    UnknownParameter = "unknown_parameter", BAD_REQUEST;
    /// A required query parameter is missing
    MissingParameter = "missing_parameter", BAD_REQUEST;
    /// A parameter has an invalid value
    InvalidParameter = "invalid_parameter", BAD_REQUEST;
    /// An event is not a JSON object
    InvalidEvent = "invalid_event", BAD_REQUEST;
    /// The event type is unknown
    UnknownType = "unknown_type", BAD_REQUEST;
    /// The request does not accept this field
    UnknownField = "unknown_field", BAD_REQUEST;
    /// A field is repeated
    DuplicateField = "duplicate_field", BAD_REQUEST;
    /// A required field is missing or null
    MissingField = "missing_field", BAD_REQUEST;
    /// A field is not a valid name
    InvalidIdentifier = "invalid_identifier", BAD_REQUEST;
    /// A field is not text, or is too long
    InvalidText = "invalid_text", BAD_REQUEST;
    /// A field has a value that is not one of those accepted
    InvalidValue = "invalid_value", BAD_REQUEST;
    /// A field is not a number in its range
    InvalidNumber = "invalid_number", BAD_REQUEST;
    /// A field is not a valid quantity
    InvalidQuantity = "invalid_quantity", BAD_REQUEST;
    /// A field is not a valid price
    InvalidPrice = "invalid_price", BAD_REQUEST;
    /// A field is not a valid amount of money
    InvalidAmount = "invalid_amount", BAD_REQUEST;
    /// A field is not a time from 1990 to 2200
    InvalidTime = "invalid_time", BAD_REQUEST;
    /// The request does not have exactly one Host header
    InvalidHost = "invalid_host", BAD_REQUEST;

    /// The token is missing or unknown
    Unauthorized = "unauthorized", UNAUTHORIZED;
    /// The token does not allow this
    Forbidden = "forbidden", FORBIDDEN;
    /// A web page of another origin sent a decision
    ForeignOrigin = "foreign_origin", FORBIDDEN;
    /// The scope `release` is required
    NeedsRelease = "needs_release", FORBIDDEN;

    /// There is nothing at this path
    UnknownPath = "unknown_path", NOT_FOUND;
    /// The account is unknown
    UnknownAccount = "unknown_account", NOT_FOUND;
    /// The symbol is unknown
    UnknownSymbol = "unknown_symbol", NOT_FOUND;
    /// The strategy is unknown
    UnknownStrategy = "unknown_strategy", NOT_FOUND;
    /// The breakdown is switched off
    BreakdownOff = "breakdown_off", NOT_FOUND;
    /// The order is unknown, or was forgotten
    UnknownOrder = "unknown_order", NOT_FOUND;
    /// The component is unknown
    UnknownComponent = "unknown_component", NOT_FOUND;
    /// A cause named for release does not exist
    UnknownCause = "unknown_cause", NOT_FOUND;
    /// The decision names something that does not exist
    NotFound = "not_found", NOT_FOUND;

    /// The path does not accept this method
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED;
    /// The body did not arrive in time
    BodyTimeout = "body_timeout", REQUEST_TIMEOUT, RetryAdvice::After(0);

    /// An id was received before with different content
    Conflict = "conflict", CONFLICT;
    /// The epoch is not the current one
    StaleEpoch = "stale_epoch", CONFLICT;
    /// There is no cause to release
    NothingToRelease = "nothing_to_release", CONFLICT;
    /// A cause is still open
    CauseOpen = "cause_open", CONFLICT;
    /// The series still has state: a position, an open drift or open orders
    InUse = "in_use", CONFLICT;

    /// The body is too large
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE;
    /// The path does not accept this media type
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE;
    /// The body has an encoding that is not supported
    UnsupportedEncoding = "unsupported_encoding", UNSUPPORTED_MEDIA_TYPE;

    /// The Host header names another host, and no tokens are configured
    ForeignHost = "foreign_host", MISDIRECTED_REQUEST;

    /// The event is too old
    TooOld = "too_old", UNPROCESSABLE_ENTITY;
    /// The order has the maximum number of facts, or its expected price changed too often
    OrderTooLong = "order_too_long", UNPROCESSABLE_ENTITY;
    /// The maximum number of accounts is reached
    TooManyAccounts = "too_many_accounts", UNPROCESSABLE_ENTITY;
    /// The account has the maximum number of components
    TooManyComponents = "too_many_components", UNPROCESSABLE_ENTITY;
    /// The symbol has the maximum number of currencies
    TooManyCurrencies = "too_many_currencies", UNPROCESSABLE_ENTITY;
    /// A total would exceed the exact range
    OutOfRange = "out_of_range", UNPROCESSABLE_ENTITY;
    /// The configuration on disk is invalid: the old one stays in force
    InvalidConfig = "invalid_config", UNPROCESSABLE_ENTITY;

    /// The rate limit of the web configuration file is reached
    RateLimited = "rate_limited", TOO_MANY_REQUESTS, RetryAdvice::After(1);

    /// A bug in the exporter
    Internal = "internal", INTERNAL_SERVER_ERROR;

    /// The maximum number of requests is waiting
    Overloaded = "overloaded", SERVICE_UNAVAILABLE, RetryAdvice::After(1);
    /// The journal failed: no event is accepted until a restart
    JournalFailed = "journal_failed", SERVICE_UNAVAILABLE, RetryAdvice::AfterRestart(30);
    /// The disk is full
    DiskFull = "disk_full", SERVICE_UNAVAILABLE, RetryAdvice::After(30);
    /// The state has its maximum size, and the sender uses most of it
    StateFull = "state_full", SERVICE_UNAVAILABLE, RetryAdvice::After(30);
    /// The exporter is starting, shutting down, or cannot write its journal
    NotReady = "not_ready", SERVICE_UNAVAILABLE, RetryAdvice::After(2);
}

/// The result of sending the same request again to the same process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RetryAdvice {
    /// It is refused again.
    Useless,
    /// It may be accepted after this many seconds.
    After(u16),
    /// It is refused until a restart. A client keeps its events and asks again after this many
    /// seconds.
    AfterRestart(u16),
}

/// A refused request.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    code: ProblemCode,
    detail: String,
    index: Option<usize>,
    field: Option<String>,
    epochs: BTreeMap<String, u64>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem with this code. `detail` describes the single case, for people.
    pub(super) fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            index: None,
            field: None,
            epochs: BTreeMap::new(),
            headers: Vec::new(),
        }
    }

    /// Names the field or parameter at fault.
    pub(super) fn of_field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Names the event at fault by its index in the body.
    pub(super) fn of_event(mut self, index: usize) -> Self {
        self.index = Some(index);
        self
    }

    /// Adds the current epochs, one of which a release has to name.
    pub(super) fn with_epochs(mut self, epochs: BTreeMap<String, u64>) -> Self {
        self.epochs = epochs;
        self
    }

    /// Adds a header to the answer.
    pub(super) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(super) const fn code(&self) -> ProblemCode {
        self.code
    }

    pub(super) fn detail(&self) -> &str {
        &self.detail
    }
}

/// A refused request in the form of RFC 9457.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemBody<'a> {
    /// A URN made of the code.
    #[serde(rename = "type")]
    #[schema(example = "urn:trading-exporter:problem:unknown_parameter")]
    problem_type: String,
    /// The meaning of the code.
    title: &'static str,
    /// The status of the answer.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// The description of this case, for people.
    detail: &'a str,
    /// The stable code, for programs.
    #[schema(schema_with = code_schema)]
    code: &'static str,
    /// Whether the same process may accept the same request later.
    retryable: bool,
    /// The event at fault: its index in the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    index: Option<usize>,
    /// The field or parameter at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    field: Option<&'a str>,
    /// For a refused release: the current epochs, by account, and by `*` for the latch of all.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    epochs: &'a BTreeMap<String, u64>,
}

fn code_schema() -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::String))
        .description(Some("The stable code, for programs."))
        .enum_values(Some(ProblemCode::ALL.iter().map(|code| code.as_str())))
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
            retryable: matches!(code.retry(), RetryAdvice::After(_)),
            index: self.index,
            field: self.field.as_deref(),
            epochs: &self.epochs,
        };
        let json = serde_json::to_vec(&body).unwrap_or_else(|_| {
            impossible!("strings and numbers always serialize");
            Vec::new()
        });
        let mut response = (code.status(), json).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let RetryAdvice::After(seconds @ 1..) | RetryAdvice::AfterRestart(seconds) = code.retry()
        {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        for (name, value) in self.headers {
            headers.append(name, value);
        }
        response.extensions_mut().insert(code);
        response
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        let code = match error {
            EngineError::Overloaded => ProblemCode::Overloaded,
            EngineError::JournalFailed => ProblemCode::JournalFailed,
            EngineError::DiskFull => ProblemCode::DiskFull,
            EngineError::Closed => ProblemCode::NotReady,
        };
        Self::new(code, error.to_string())
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal {
            Refusal::Conflict => ProblemCode::Conflict,
            Refusal::TooOld => ProblemCode::TooOld,
            Refusal::OrderTooLong => ProblemCode::OrderTooLong,
            Refusal::TooManyAccounts => ProblemCode::TooManyAccounts,
            Refusal::TooManyComponents => ProblemCode::TooManyComponents,
            Refusal::TooManyCurrencies => ProblemCode::TooManyCurrencies,
            Refusal::OutOfRange => ProblemCode::OutOfRange,
            Refusal::StaleEpoch => ProblemCode::StaleEpoch,
            Refusal::UnknownCause => ProblemCode::UnknownCause,
            Refusal::NothingToRelease => ProblemCode::NothingToRelease,
            Refusal::CauseOpen => ProblemCode::CauseOpen,
            Refusal::UnknownAccount => ProblemCode::UnknownAccount,
            Refusal::NotFound => ProblemCode::NotFound,
            Refusal::NeedsRelease => ProblemCode::NeedsRelease,
            Refusal::InUse => ProblemCode::InUse,
            Refusal::InvalidConfig => ProblemCode::InvalidConfig,
            Refusal::StateFull => ProblemCode::StateFull,
        };
        Self::new(code, refusal.to_string())
    }
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Self {
        let code = match error {
            BodyError::Empty | BodyError::Syntax(_) | BodyError::NotAnObject => {
                ProblemCode::InvalidJson
            }
            BodyError::Table(_) => ProblemCode::InvalidTable,
            BodyError::TooManyEvents { .. } => ProblemCode::TooManyEvents,
            BodyError::TooDeep { .. } => ProblemCode::TooDeep,
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

impl From<FieldCode> for ProblemCode {
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

    /// An answer has codes of events and decisions next to codes of problems, so one text must have
    /// one meaning.
    #[test]
    fn codes_of_other_modules_keep_their_text() {
        for code in FieldCode::ALL {
            assert_eq!(ProblemCode::from(code).as_str(), code.as_str());
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
            Refusal::StateFull,
        ] {
            assert_eq!(Problem::from(refusal).code().as_str(), refusal.as_str());
        }
        let body = [
            BodyError::Empty,
            BodyError::NotAnObject,
            BodyError::Table(String::new()),
            BodyError::TooDeep { max: 1 },
            BodyError::TooManyEvents { max: 1 },
        ];
        for error in body {
            let text = error.code();
            assert_eq!(Problem::from(error).code().as_str(), text);
        }
    }

    #[test]
    fn texts_of_codes_are_unique() {
        let texts: BTreeMap<&str, StatusCode> =
            ProblemCode::ALL.iter().map(|code| (code.as_str(), code.status())).collect();
        assert_eq!(texts.len(), ProblemCode::ALL.len());
        assert!(
            ProblemCode::ALL.iter().all(|c| !c.title().is_empty() && !c.title().ends_with('.'))
        );
    }

    #[test]
    fn answers_say_when_to_try_again() {
        let check = |code: ProblemCode, retryable: bool, retry_after: Option<&str>| {
            let response = Problem::new(code, "why").into_response();
            assert_eq!(response.status(), code.status());
            let header = response.headers().get(header::RETRY_AFTER);
            assert_eq!(header.map(|v| v.to_str().expect("text")), retry_after, "{code:?}");
            assert_eq!(matches!(code.retry(), RetryAdvice::After(_)), retryable, "{code:?}");
        };
        check(ProblemCode::Overloaded, true, Some("1"));
        check(ProblemCode::NotReady, true, Some("2"));
        check(ProblemCode::DiskFull, true, Some("30"));
        check(ProblemCode::JournalFailed, false, Some("30"));
        check(ProblemCode::BodyTimeout, true, None);
        check(ProblemCode::Forbidden, false, None);
        let unavailable = |code: &&ProblemCode| code.status() == StatusCode::SERVICE_UNAVAILABLE;
        for code in ProblemCode::ALL.iter().filter(unavailable) {
            let response = Problem::new(*code, "why").into_response();
            assert!(response.headers().contains_key(header::RETRY_AFTER), "{code:?}");
        }
    }
}
