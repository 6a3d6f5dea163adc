"""The first schema of risk. Frozen: a later change of the tables is a revision of its own."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Makes every table, on SQLite and PostgreSQL."""
    op.create_table(
        "accounts",
        sa.Column("account_id", sa.Text, primary_key=True),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("scratch_of", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "account_states",
        sa.Column("account_id", sa.Text, primary_key=True),
        sa.Column("stamp", sa.Text, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
    )
    op.create_table(
        "balances",
        sa.Column("account_id", sa.Text, primary_key=True),
        sa.Column("book", sa.Text, primary_key=True),
        sa.Column("asset", sa.Text, primary_key=True),
        sa.Column("amount", sa.String, nullable=False),
    )
    op.create_table(
        "positions",
        sa.Column("account_id", sa.Text, primary_key=True),
        sa.Column("instrument", sa.Text, primary_key=True),
        sa.Column("base_asset", sa.Text, nullable=False),
        sa.Column("quote_asset", sa.Text, nullable=False),
        sa.Column("perpetual", sa.Boolean, nullable=False),
        sa.Column("quantity", sa.String, nullable=False),
        sa.Column("cost", sa.String, nullable=False),
        sa.Column("realized_profit", sa.String, nullable=False),
        sa.Column("fees", sa.String, nullable=False),
    )
    op.create_table(
        "orders",
        sa.Column("order_id", sa.Text, primary_key=True),
        sa.Column("signal_id", sa.Text, nullable=False),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("webhook_id", sa.Text, nullable=False),
        sa.Column("strategy_id", sa.Text, nullable=False),
        sa.Column("instrument", sa.Text, nullable=False),
        sa.Column("base_asset", sa.Text, nullable=False),
        sa.Column("quote_asset", sa.Text, nullable=False),
        sa.Column("perpetual", sa.Boolean, nullable=False),
        sa.Column("entry", sa.Boolean, nullable=False),
        sa.Column("buy", sa.Boolean, nullable=False),
        sa.Column("approved", sa.Boolean, nullable=False),
        sa.Column("open", sa.Boolean, nullable=False),
        sa.Column("quantity", sa.String, nullable=False),
        sa.Column("notional", sa.String, nullable=False),
        sa.Column("hold", sa.String, nullable=False),
        sa.Column("filled", sa.String, nullable=False),
        sa.Column("decide_time", sa.BigInteger, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.create_index(
        "orders_open",
        "orders",
        ["account_id", "order_id"],
        sqlite_where=sa.text("open IS 1"),
        postgresql_where=sa.text("open IS true"),
    )
    op.create_table(
        "fills",
        sa.Column("account_id", sa.Text, primary_key=True),
        sa.Column("instrument", sa.Text, primary_key=True),
        sa.Column("execution_id", sa.Text, primary_key=True),
        sa.Column("order_id", sa.Text, nullable=False),
        sa.Column("buy", sa.Boolean, nullable=False),
        sa.Column("quantity", sa.String, nullable=False),
        sa.Column("price", sa.String, nullable=False),
        sa.Column("fee", sa.String, nullable=False),
        sa.Column("fee_asset", sa.Text, nullable=False),
        sa.Column("flag", sa.Text, nullable=False),
        sa.Column("execute_time", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_fills_order_id", "fills", ["order_id"])
    op.create_table(
        "transfers",
        sa.Column("transfer_id", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("asset", sa.Text, nullable=False),
        sa.Column("amount", sa.String, nullable=False),
    )
    op.create_index("ix_transfers_account_id", "transfers", ["account_id"])
    op.create_table(
        "adjustments",
        sa.Column("request_id", sa.Text, primary_key=True),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("request", sa.LargeBinary, nullable=False),
        sa.Column("response", sa.LargeBinary, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("record_time", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "equity_samples",
        sa.Column("account_id", sa.Text, primary_key=True),
        sa.Column("resolution_s", sa.Integer, primary_key=True),
        sa.Column("bucket", sa.BigInteger, primary_key=True),
        sa.Column("equity", sa.String, nullable=False),
        sa.Column("sample_time", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "trading_states",
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("update_time", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "stamps",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("stamp", sa.Text, nullable=False),
    )
    op.create_table(
        "outbox",
        sa.Column("position", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("message_id", sa.Text, nullable=False, unique=True),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
    )
