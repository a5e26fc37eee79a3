//! Ready expressions for the lists of well-known APIs.
//!
//! Invariants: a short position is negative; an answer that is not the documented list fails, because an
//! empty one would mean that the account is flat. Each has a sample of the documented answer, with the rows
//! that it becomes, in the tests.

use crate::domain::closed_set::closed_set;

closed_set! {
    /// An API whose list of positions has a ready expression.
    pub enum Preset {
        /// Alpaca: `/v2/positions`.
        Alpaca = "alpaca",
        /// Binance USD-M futures: `/fapi/v3/positionRisk`.
        BinanceUsdm = "binance-usdm",
        /// Bybit v5: `/v5/position/list`.
        Bybit = "bybit",
        /// Freqtrade: the balances behind its open trades.
        FreqtradeBalance = "freqtrade-balance",
        /// Freqtrade: all balances except the stake currency.
        FreqtradeBalanceAll = "freqtrade-balance-all",
        /// Freqtrade: its open trades.
        FreqtradeStatus = "freqtrade-status",
        /// Interactive Brokers, Client Portal: `/v1/api/portfolio/{account}/positions/0`.
        Ibkr = "ibkr",
        /// Kraken: `/0/private/OpenPositions`.
        Kraken = "kraken",
        /// Kraken Futures: `/derivatives/api/v3/openpositions`.
        KrakenFutures = "kraken-futures",
        /// OANDA v20: `/v3/accounts/{account}/openPositions`.
        Oanda = "oanda",
        /// OKX v5: `/api/v5/account/positions`.
        Okx = "okx",
        /// Tradier: `/v1/accounts/{account}/positions`.
        Tradier = "tradier",
    }
}

impl Preset {
    /// The expression.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Alpaca => include_str!("presets/alpaca.jq"),
            Self::BinanceUsdm => include_str!("presets/binance-usdm.jq"),
            Self::Bybit => include_str!("presets/bybit.jq"),
            Self::FreqtradeBalance => include_str!("presets/freqtrade-balance.jq"),
            Self::FreqtradeBalanceAll => include_str!("presets/freqtrade-balance-all.jq"),
            Self::FreqtradeStatus => include_str!("presets/freqtrade-status.jq"),
            Self::Ibkr => include_str!("presets/ibkr.jq"),
            Self::Kraken => include_str!("presets/kraken.jq"),
            Self::KrakenFutures => include_str!("presets/kraken-futures.jq"),
            Self::Oanda => include_str!("presets/oanda.jq"),
            Self::Okx => include_str!("presets/okx.jq"),
            Self::Tradier => include_str!("presets/tradier.jq"),
        }
    }
}
