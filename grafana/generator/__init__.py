"""The dashboards as code: each module is one dashboard, the rest is what they are made of."""
