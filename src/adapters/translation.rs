//! The events of one body, as they are translated.
//!
//! Input: drafts, in the order of the messages. Output: [`AdaptedBody`]. Invariants: every event, error
//! and warning has the index of its message; the events are checked by the decoder of the contract; what
//! one message of a body told is known to the next.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::adapters::AdapterOptions;
use crate::adapters::draft::{DraftRow, EventDraft};
use crate::adapters::known::{HeldBook, HeldOrder, KnownState};
use crate::domain::event::Source;
use crate::domain::ids::Account;
use crate::wire::contract::error::{BodyError, EventError, Flaw};
use crate::wire::contract::field::Field;
use crate::wire::decode::{DecodeLimits, Decoded, decode_ndjson};
use crate::wire::json::write::push_string;

/// The account of a message that names none.
const ACCOUNT_DEFAULT: &str = "default";

/// A body, translated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdaptedBody {
    /// The events. Each index is that of a message, and a message may have become several events.
    pub decoded: Decoded,
    /// The messages that say nothing here.
    pub ignored: Vec<IgnoredMessage>,
    /// Texts to keep for later messages of this sender: key and text, with the index of the message.
    pub notes: Vec<(usize, String, String)>,
    /// Messages that were recognised as sent again, and became no event.
    pub known: usize,
    /// All messages.
    pub messages: usize,
}

/// A message that says nothing here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IgnoredMessage {
    /// Its index in the body, from 0.
    pub index: usize,
    /// The reason, for people.
    pub why: Cow<'static, str>,
}

/// Rows that several messages of a body report of one list.
struct PendingList {
    index: usize,
    head: EventDraft,
    rows: Vec<DraftRow>,
    /// The rows that make it complete; `None`: it never is.
    complete_at: Option<usize>,
}

/// Collects what the messages of a body become.
pub(super) struct Translation<'a> {
    options: &'a AdapterOptions,
    state: &'a dyn KnownState,
    limits: DecodeLimits,
    lines: Vec<u8>,
    /// The message of each line.
    origins: Vec<usize>,
    lists: Vec<PendingList>,
    /// The places of lists, by account and name.
    list_places: BTreeMap<(Option<String>, String), usize>,
    body: AdaptedBody,
    /// The place of the last note of each key.
    note_places: BTreeMap<String, usize>,
    /// For orders that are numbered: the first number that has not ended, as far as known.
    pub(super) first_numbers: BTreeMap<String, usize>,
    /// Orders, books and ids in this body, which the state does not know yet.
    orders: BTreeMap<(String, String), HeldOrder>,
    books: BTreeMap<(String, String), HeldBook>,
    events: BTreeSet<(String, String)>,
}

impl<'a> Translation<'a> {
    pub(super) fn new(
        options: &'a AdapterOptions,
        state: &'a dyn KnownState,
        limits: &DecodeLimits,
    ) -> Self {
        Self {
            options,
            state,
            limits: *limits,
            lines: Vec::new(),
            origins: Vec::new(),
            lists: Vec::new(),
            list_places: BTreeMap::new(),
            body: AdaptedBody::default(),
            note_places: BTreeMap::new(),
            first_numbers: BTreeMap::new(),
            orders: BTreeMap::new(),
            books: BTreeMap::new(),
            events: BTreeSet::new(),
        }
    }

    /// Begins the next message.
    ///
    /// # Errors
    /// [`BodyError::TooManyEvents`].
    pub(super) fn begin(&mut self) -> Result<(), BodyError> {
        let max = self.limits.events_max;
        if self.body.messages >= max {
            return Err(BodyError::TooManyEvents { max });
        }
        self.body.messages += 1;
        Ok(())
    }

    fn index(&self) -> usize {
        self.body.messages.saturating_sub(1)
    }

    /// The longest text for people.
    pub(super) const fn text_max(&self) -> usize {
        self.limits.text_bytes_max
    }

    /// The account of a message that names `own`.
    pub(super) fn account<'s>(&'s self, own: Option<&'s str>) -> &'s str {
        let given = self.options.account.as_ref().map(Account::as_str);
        given.or(own).unwrap_or(ACCOUNT_DEFAULT)
    }

    /// The most messages of a body.
    pub(super) const fn messages_max(&self) -> usize {
        self.limits.events_max
    }

    /// Whether the request names the account of every event.
    pub(super) const fn has_account(&self) -> bool {
        self.options.account.is_some()
    }

    /// Keeps a text for later messages of the sender.
    pub(super) fn keep(&mut self, key: String, text: String) {
        let index = self.index();
        self.note_places.insert(key.clone(), self.body.notes.len());
        self.body.notes.push((index, key, text));
    }

    /// The text that was kept for a key.
    pub(super) fn kept(&self, key: &str) -> Option<String> {
        let told = self.note_places.get(key).and_then(|place| self.body.notes.get(*place));
        told.map(|(_, _, text)| text.clone()).or_else(|| self.state.note(key))
    }

    /// The word for the side that reports positions; `usual` is that of the format.
    pub(super) fn role(&self, usual: Source) -> Source {
        self.options.role.unwrap_or(usual)
    }

    /// Adds an event of the current message.
    pub(super) fn emit(&mut self, draft: EventDraft) {
        let index = self.index();
        self.emit_at(index, draft);
    }

    fn emit_at(&mut self, index: usize, draft: EventDraft) {
        let EventDraft { account, members } = draft;
        self.lines.extend_from_slice(&members);
        let given = self.options.account.as_ref().map(Account::as_str);
        if let Some(account) = given.or(account.as_deref()) {
            self.lines.extend_from_slice(Field::Account.key().as_bytes());
            push_string(account, &mut self.lines);
        }
        self.lines.extend_from_slice(b"}\n");
        self.origins.push(index);
    }

    /// Adds a row to a list that several messages report together: those with the same account and
    /// `list`. The first one has the head. The list is complete with `complete_at` rows.
    pub(super) fn row(
        &mut self,
        list: String,
        complete_at: Option<usize>,
        (head, row): (EventDraft, DraftRow),
    ) {
        let (key, index) = ((head.account.clone(), list), self.index());
        let place = *self.list_places.entry(key).or_insert(self.lists.len());
        match self.lists.get_mut(place) {
            Some(known) => known.rows.push(row),
            None => self.lists.push(PendingList { index, head, rows: vec![row], complete_at }),
        }
    }

    /// The current message says nothing here.
    pub(super) fn ignore(&mut self, why: impl Into<Cow<'static, str>>) {
        let (index, why) = (self.index(), why.into());
        self.body.ignored.push(IgnoredMessage { index, why });
    }

    /// The current message was sent before.
    pub(super) fn known(&mut self) {
        self.body.known += 1;
    }

    /// The current message cannot be translated.
    pub(super) fn refuse(&mut self, flaw: Flaw) {
        let index = self.index();
        self.body.decoded.refused.push(flaw.at(index));
    }

    /// An order, as the state and the messages before this one have it.
    pub(super) fn order(&self, account: &str, order_id: &str) -> Option<HeldOrder> {
        let told = self.orders.get(&(account.to_owned(), order_id.to_owned()));
        told.cloned().or_else(|| self.state.order(account, order_id))
    }

    /// Notes the current message's word about an order.
    pub(super) fn set_order(&mut self, account: &str, order_id: &str, order: HeldOrder) {
        self.orders.insert((account.to_owned(), order_id.to_owned()), order);
    }

    /// Whether an event with this id is known.
    pub(super) fn has_event(&self, account: &str, event_id: &str) -> bool {
        self.events.contains(&(account.to_owned(), event_id.to_owned()))
            || self.state.has_event(account, event_id)
    }

    /// The current message becomes an event with this id.
    pub(super) fn set_event(&mut self, account: &str, event_id: &str) {
        self.events.insert((account.to_owned(), event_id.to_owned()));
    }

    /// The books of a symbol.
    pub(super) fn book(&self, account: &str, symbol: &str) -> Option<HeldBook> {
        let told = self.books.get(&(account.to_owned(), symbol.to_owned())).copied();
        told.or_else(|| self.state.book(account, symbol))
    }

    /// Notes the current message's word about a symbol.
    pub(super) fn set_book(&mut self, account: &str, symbol: &str, book: HeldBook) {
        self.books.insert((account.to_owned(), symbol.to_owned()), book);
    }

    /// Checks all events.
    ///
    /// # Errors
    /// See [`BodyError`].
    pub(super) fn finish(mut self) -> Result<AdaptedBody, BodyError> {
        for PendingList { index, head, rows, complete_at } in std::mem::take(&mut self.lists) {
            let is_complete = complete_at == Some(rows.len());
            self.emit_at(index, head.complete(is_complete).rows(&rows));
        }
        let mut body = self.body;
        if !self.origins.is_empty() {
            // A message becomes a few events, which its size bounds.
            let limits = DecodeLimits { events_max: self.origins.len(), ..self.limits };
            let found = decode_ndjson(&self.lines, &limits)?;
            let of = |line: usize| self.origins.get(line).copied().unwrap_or_default();
            let Decoded { events, refused, warnings, .. } = found;
            body.decoded.events = events.into_iter().map(|(at, event)| (of(at), event)).collect();
            let moved = refused.into_iter().map(|e| EventError { index: of(e.index), ..e });
            body.decoded.refused.extend(moved);
            body.decoded.refused.sort_by_key(|error| error.index);
            body.decoded.warnings = warnings.into_iter().map(|(at, w)| (of(at), w)).collect();
        }
        body.decoded.total = body.decoded.events.len() + body.decoded.refused.len();
        Ok(body)
    }
}
