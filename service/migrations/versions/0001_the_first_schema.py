"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "account_user",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("full_name", sa.String(length=120), nullable=False),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("email_confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failed_attempts", sa.Integer(), nullable=False),
        sa.Column("locked_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("totp_secret", sa.String(), nullable=True),
        sa.Column("totp_confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("totp_last_step", sa.Integer(), nullable=True),
        sa.Column("position", sa.String(length=160), nullable=True),
        sa.Column("rank", sa.String(length=80), nullable=True),
        sa.Column("nip", sa.String(length=18), nullable=True),
        sa.Column("agency", sa.String(length=160), nullable=True),
        sa.Column("key_name", sa.String(length=80), nullable=True),
        sa.Column("outside_identity", sa.String(), nullable=True),
        sa.Column("certificate_name", sa.String(length=160), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("email"),
    )
    with op.batch_alter_table("account_user", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_account_user_kind"), ["kind"], unique=False)

    op.create_table(
        "audit_event",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("actor_name", sa.String(), nullable=False),
        sa.Column("actor_role", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("subject_type", sa.String(), nullable=False),
        sa.Column("subject_id", sa.String(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("nonce", sa.String(length=32), nullable=False),
        sa.Column("previous_hash", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    with op.batch_alter_table("audit_event", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_audit_event_action"), ["action"], unique=False)
        batch_op.create_index(batch_op.f("ix_audit_event_actor_id"), ["actor_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_audit_event_subject_id"), ["subject_id"], unique=False)

    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "city_revision",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("loaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("loaded_by", sa.String(length=120), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("revision"),
    )
    op.create_table(
        "holiday",
        sa.Column("on", sa.Date(), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("is_working_day", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("on"),
    )
    op.create_table(
        "log_entry",
        sa.Column("index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("leaf", sa.String(), nullable=False),
        sa.Column("leaf_hash", sa.String(length=64), nullable=False),
        sa.Column("logged_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("nonce", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("index"),
    )
    with op.batch_alter_table("log_entry", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_log_entry_leaf_hash"), ["leaf_hash"], unique=False)

    op.create_table(
        "log_head",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "log_node",
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("level", "index"),
    )
    op.create_table(
        "mail_message",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("to_address", sa.String(length=254), nullable=False),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("template", sa.String(length=60), nullable=False),
        sa.Column("context", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.String(length=60), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("mail_message", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_mail_message_created_at"), ["created_at"], unique=False)

    op.create_table(
        "number_counter",
        sa.Column("series", sa.String(length=40), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("series", "year"),
    )
    op.create_table(
        "permit_type_revision",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("slug", sa.String(length=80), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("loaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("loaded_by", sa.String(length=120), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("slug", "revision"),
    )
    with op.batch_alter_table("permit_type_revision", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_permit_type_revision_slug"), ["slug"], unique=False)

    op.create_table(
        "account_api_token",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["account_user.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("token_hash"),
    )
    with op.batch_alter_table("account_api_token", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_account_api_token_user_id"), ["user_id"], unique=False)

    op.create_table(
        "account_one_time_link",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["account_user.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("account_one_time_link", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_account_one_time_link_user_id"), ["user_id"], unique=False)

    op.create_table(
        "account_recovery_code",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["account_user.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("account_recovery_code", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_account_recovery_code_user_id"), ["user_id"], unique=False)

    op.create_table(
        "account_role",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["account_user.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("user_id", "role"),
    )
    with op.batch_alter_table("account_role", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_account_role_role"), ["role"], unique=False)
        batch_op.create_index(batch_op.f("ix_account_role_user_id"), ["user_id"], unique=False)

    op.create_table(
        "account_session",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("second_factor_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("device", sa.String(length=80), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["account_user.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("token_hash"),
    )
    with op.batch_alter_table("account_session", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_account_session_user_id"), ["user_id"], unique=False)

    op.create_table(
        "application",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("receipt_number", sa.String(length=24), nullable=True),
        sa.Column("applicant_id", sa.Uuid(), nullable=False),
        sa.Column("revision_id", sa.Uuid(), nullable=False),
        sa.Column("slug", sa.String(length=80), nullable=False),
        sa.Column("request", sa.String(length=20), nullable=False),
        sa.Column("applicant_kind", sa.String(length=20), nullable=False),
        sa.Column("continues_id", sa.Uuid(), nullable=True),
        sa.Column("holder_name", sa.String(length=160), nullable=False),
        sa.Column("values", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("step", sa.String(length=40), nullable=True),
        sa.Column("outcome", sa.String(length=10), nullable=False),
        sa.Column("taken_by", sa.Uuid(), nullable=True),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("clock_started_on", sa.Date(), nullable=True),
        sa.Column("days_paused", sa.Integer(), nullable=False),
        sa.Column("paused_on", sa.Date(), nullable=True),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("step_due_on", sa.Date(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["applicant_id"],
            ["account_user.id"],
        ),
        sa.ForeignKeyConstraint(
            ["revision_id"],
            ["permit_type_revision.id"],
        ),
        sa.ForeignKeyConstraint(
            ["taken_by"],
            ["account_user.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("receipt_number"),
    )
    with op.batch_alter_table("application", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_application_applicant_id"), ["applicant_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_application_continues_id"), ["continues_id"], unique=False)
        batch_op.create_index("ix_application_queue", ["state", "step", "due_on"], unique=False)
        batch_op.create_index(batch_op.f("ix_application_revision_id"), ["revision_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_application_slug"), ["slug"], unique=False)

    op.create_table(
        "application_correction",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("key", sa.String(length=60), nullable=False),
        sa.Column("remark", sa.String(length=1000), nullable=False),
        sa.Column("asked_by", sa.Uuid(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["application_id"],
            ["application.id"],
        ),
        sa.ForeignKeyConstraint(
            ["asked_by"],
            ["account_user.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("application_correction", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_application_correction_application_id"), ["application_id"], unique=False
        )

    op.create_table(
        "application_step_visit",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("step", sa.String(length=40), nullable=False),
        sa.Column("role", sa.String(length=40), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("action", sa.String(length=40), nullable=True),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("actor_name", sa.String(length=120), nullable=True),
        sa.Column("note", sa.String(), nullable=True),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["actor_id"],
            ["account_user.id"],
        ),
        sa.ForeignKeyConstraint(
            ["application_id"],
            ["application.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("application_step_visit", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_application_step_visit_actor_id"), ["actor_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_application_step_visit_application_id"), ["application_id"], unique=False
        )
        batch_op.create_index("ix_step_visit_order", ["application_id", "number"], unique=False)

    op.create_table(
        "application_submission",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("values", sa.JSON(), nullable=False),
        sa.Column("documents", sa.JSON(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["application_id"],
            ["application.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("application_id", "round"),
    )
    with op.batch_alter_table("application_submission", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_application_submission_application_id"), ["application_id"], unique=False
        )

    op.create_table(
        "application_upload",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column("requirement", sa.String(length=60), nullable=False),
        sa.Column("filename", sa.String(length=160), nullable=False),
        sa.Column("media_type", sa.String(length=40), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("object_name", sa.String(length=120), nullable=False),
        sa.Column("wrapped_key", sa.String(), nullable=False),
        sa.Column("uploaded_by", sa.Uuid(), nullable=False),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["application_id"],
            ["application.id"],
        ),
        sa.ForeignKeyConstraint(
            ["uploaded_by"],
            ["account_user.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("application_upload", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_application_upload_application_id"), ["application_id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_application_upload_object_name"), ["object_name"], unique=False)

    op.create_table(
        "mandate",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("official_id", sa.Uuid(), nullable=False),
        sa.Column("capacity", sa.String(length=20), nullable=False),
        sa.Column("position", sa.String(length=160), nullable=False),
        sa.Column("own_position", sa.String(length=160), nullable=False),
        sa.Column("basis", sa.String(length=200), nullable=False),
        sa.Column("permit_types", sa.JSON(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["official_id"],
            ["account_user.id"],
        ),
        sa.ForeignKeyConstraint(
            ["created_by"],
            ["account_user.id"],
        ),
        sa.ForeignKeyConstraint(
            ["ended_by"],
            ["account_user.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("mandate", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_mandate_official_id"), ["official_id"], unique=False)

    op.create_table(
        "permit",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("slug", sa.String(length=80), nullable=False),
        sa.Column("revision_id", sa.Uuid(), nullable=False),
        sa.Column("series", sa.String(length=40), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("number", sa.String(length=80), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("status_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status_index", sa.Integer(), nullable=True),
        sa.Column("continues_id", sa.Uuid(), nullable=True),
        sa.Column("holder_id", sa.Uuid(), nullable=False),
        sa.Column("holder_name", sa.String(length=160), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("public_facts", sa.JSON(), nullable=False),
        sa.Column("issued_on", sa.Date(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("signer_id", sa.Uuid(), nullable=False),
        sa.Column("signer_name", sa.String(length=120), nullable=False),
        sa.Column("signer_position", sa.String(length=360), nullable=False),
        sa.Column("mandate", sa.String(length=20), nullable=False),
        sa.Column("mandate_id", sa.Uuid(), nullable=False),
        sa.Column("mandate_basis", sa.String(length=200), nullable=False),
        sa.Column("signed_by", sa.String(length=20), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["application_id"],
            ["application.id"],
        ),
        sa.ForeignKeyConstraint(
            ["continues_id"],
            ["permit.id"],
        ),
        sa.ForeignKeyConstraint(
            ["holder_id"],
            ["account_user.id"],
        ),
        sa.ForeignKeyConstraint(
            ["mandate_id"],
            ["mandate.id"],
        ),
        sa.ForeignKeyConstraint(
            ["revision_id"],
            ["permit_type_revision.id"],
        ),
        sa.ForeignKeyConstraint(
            ["signer_id"],
            ["account_user.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("application_id"),
        sa.UniqueConstraint("code"),
        sa.UniqueConstraint("number"),
        sa.UniqueConstraint("series", "year", "sequence"),
        sa.UniqueConstraint("status_index"),
    )
    with op.batch_alter_table("permit", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_permit_continues_id"), ["continues_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_permit_holder_id"), ["holder_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_permit_signer_id"), ["signer_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_permit_slug"), ["slug"], unique=False)
        batch_op.create_index("ix_permit_status_until", ["status", "valid_until"], unique=False)

    op.create_table(
        "permit_document_version",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("permit_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("level", sa.String(length=6), nullable=False),
        sa.Column("signed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("verifiable_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("log_index", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["permit_id"],
            ["permit.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("log_index"),
        sa.UniqueConstraint("permit_id", "version"),
        sa.UniqueConstraint("sha256"),
    )
    with op.batch_alter_table("permit_document_version", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_permit_document_version_fingerprint"), ["fingerprint"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_permit_document_version_permit_id"), ["permit_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_permit_document_version_verifiable_until"), ["verifiable_until"], unique=False
        )

    op.create_table(
        "permit_status_change",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("permit_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason_code", sa.String(length=40), nullable=True),
        sa.Column("remark", sa.String(length=1000), nullable=True),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("actor_name", sa.String(length=120), nullable=False),
        sa.Column("log_index", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["actor_id"],
            ["account_user.id"],
        ),
        sa.ForeignKeyConstraint(
            ["permit_id"],
            ["permit.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("log_index"),
    )
    with op.batch_alter_table("permit_status_change", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_permit_status_change_permit_id"), ["permit_id"], unique=False)

    op.create_table(
        "sign_batch",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("official_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("list_digest", sa.String(length=64), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=True),
        sa.Column("run_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["official_id"],
            ["account_user.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("sign_batch", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sign_batch_official_id"), ["official_id"], unique=False)

    op.create_table(
        "sign_batch_item",
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("permit_id", sa.Uuid(), nullable=True),
        sa.Column("failure", sa.String(length=60), nullable=True),
        sa.Column("failure_id", sa.String(length=1000), nullable=False),
        sa.Column("failure_en", sa.String(length=1000), nullable=False),
        sa.Column("is_ours", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["application_id"],
            ["application.id"],
        ),
        sa.ForeignKeyConstraint(
            ["batch_id"],
            ["sign_batch.id"],
        ),
        sa.ForeignKeyConstraint(
            ["permit_id"],
            ["permit.id"],
        ),
        sa.PrimaryKeyConstraint("batch_id", "position"),
        sa.UniqueConstraint("permit_id"),
    )
    with op.batch_alter_table("sign_batch_item", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_sign_batch_item_application_id"), ["application_id"], unique=False
        )

    op.create_table(
        "issued_certificate",
        sa.Column("serial", sa.String(length=40), nullable=False),
        sa.Column("issuer", sa.String(length=63), nullable=False),
        sa.Column("key_name", sa.String(length=63), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("not_after", sa.DateTime(timezone=True), nullable=False),
        sa.Column("der", sa.LargeBinary(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revocation_reason", sa.String(length=30), nullable=True),
        sa.Column("compromised_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("serial"),
    )
    with op.batch_alter_table("issued_certificate", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_issued_certificate_issuer"), ["issuer"], unique=False)
        batch_op.create_index(batch_op.f("ix_issued_certificate_key_name"), ["key_name"], unique=False)

    op.create_table(
        "certificate_approval",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("serial", sa.String(length=40), nullable=False),
        sa.Column("act", sa.String(length=20), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("sha256"),
    )
    with op.batch_alter_table("certificate_approval", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_certificate_approval_serial"), ["serial"], unique=False)

    op.create_table(
        "revocation_list",
        sa.Column("issuer", sa.String(length=63), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("this_update", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_update", sa.DateTime(timezone=True), nullable=False),
        sa.Column("der", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("issuer", "number"),
    )

    op.create_table(
        "outside_certificate",
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("tsa", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("not_after", sa.DateTime(timezone=True), nullable=False),
        sa.Column("chain", sa.LargeBinary(), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint"),
    )
    with op.batch_alter_table("outside_certificate", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_outside_certificate_tsa"), ["tsa"], unique=False)

    op.create_table(
        "ocsp_answer",
        sa.Column("cert_id", sa.String(length=64), nullable=False),
        sa.Column("serial", sa.String(length=40), nullable=False),
        sa.Column("says", sa.String(length=80), nullable=False),
        sa.Column("this_update", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_update", sa.DateTime(timezone=True), nullable=False),
        sa.Column("der", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("cert_id"),
    )
    op.create_table(
        "expiry_alarm",
        sa.Column("subject", sa.String(length=80), nullable=False),
        sa.Column("stage", sa.Integer(), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("subject", "stage"),
    )
    op.create_table(
        "proof_renewal",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_by", sa.Uuid(), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["started_by"], ["account_user.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "proof_renewal_item",
        sa.Column("renewal_id", sa.Uuid(), nullable=False),
        sa.Column("permit_id", sa.Uuid(), nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("failure", sa.String(length=60), nullable=True),
        sa.ForeignKeyConstraint(["permit_id"], ["permit.id"]),
        sa.ForeignKeyConstraint(["renewal_id"], ["proof_renewal.id"]),
        sa.PrimaryKeyConstraint("renewal_id", "permit_id"),
    )
    with op.batch_alter_table("proof_renewal_item", schema=None) as batch_op:
        batch_op.create_index("ix_proof_renewal_item_outcome", ["renewal_id", "outcome"], unique=False)

    op.create_table(
        "log_witness",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("root", sa.String(length=64), nullable=False),
        sa.Column("cosignature", sa.String(length=500), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "reconciliation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("documents", sa.Integer(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("findings", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "status_list",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )

    # The heads of the audit chain and of the log: the rows that every append locks.
    op.execute(
        sa.text("INSERT INTO audit_head (id, number, hash) VALUES (1, 0, :hash)").bindparams(hash="0" * 64)
    )
    op.execute(sa.text("INSERT INTO log_head (id, size) VALUES (1, 0)"))


def downgrade() -> None:
    with op.batch_alter_table("proof_renewal_item", schema=None) as batch_op:
        batch_op.drop_index("ix_proof_renewal_item_outcome")

    op.drop_table("proof_renewal_item")
    op.drop_table("proof_renewal")
    op.drop_table("expiry_alarm")
    op.drop_table("ocsp_answer")
    with op.batch_alter_table("outside_certificate", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_outside_certificate_tsa"))

    op.drop_table("outside_certificate")
    op.drop_table("status_list")
    op.drop_table("reconciliation")
    op.drop_table("log_witness")
    op.drop_table("revocation_list")
    with op.batch_alter_table("certificate_approval", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_certificate_approval_serial"))

    op.drop_table("certificate_approval")
    with op.batch_alter_table("issued_certificate", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_issued_certificate_key_name"))
        batch_op.drop_index(batch_op.f("ix_issued_certificate_issuer"))

    op.drop_table("issued_certificate")
    with op.batch_alter_table("sign_batch_item", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_sign_batch_item_application_id"))

    op.drop_table("sign_batch_item")
    with op.batch_alter_table("sign_batch", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_sign_batch_official_id"))

    op.drop_table("sign_batch")
    with op.batch_alter_table("permit_status_change", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_permit_status_change_permit_id"))

    op.drop_table("permit_status_change")
    with op.batch_alter_table("permit_document_version", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_permit_document_version_verifiable_until"))
        batch_op.drop_index(batch_op.f("ix_permit_document_version_permit_id"))
        batch_op.drop_index(batch_op.f("ix_permit_document_version_fingerprint"))

    op.drop_table("permit_document_version")
    with op.batch_alter_table("permit", schema=None) as batch_op:
        batch_op.drop_index("ix_permit_status_until")
        batch_op.drop_index(batch_op.f("ix_permit_slug"))
        batch_op.drop_index(batch_op.f("ix_permit_signer_id"))
        batch_op.drop_index(batch_op.f("ix_permit_holder_id"))
        batch_op.drop_index(batch_op.f("ix_permit_continues_id"))

    op.drop_table("permit")
    with op.batch_alter_table("mandate", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_mandate_official_id"))

    op.drop_table("mandate")
    with op.batch_alter_table("application_upload", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_application_upload_application_id"))

    op.drop_table("application_upload")
    with op.batch_alter_table("application_submission", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_application_submission_application_id"))

    op.drop_table("application_submission")
    with op.batch_alter_table("application_step_visit", schema=None) as batch_op:
        batch_op.drop_index("ix_step_visit_order")
        batch_op.drop_index(batch_op.f("ix_application_step_visit_application_id"))
        batch_op.drop_index(batch_op.f("ix_application_step_visit_actor_id"))

    op.drop_table("application_step_visit")
    with op.batch_alter_table("application_correction", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_application_correction_application_id"))

    op.drop_table("application_correction")
    with op.batch_alter_table("application", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_application_slug"))
        batch_op.drop_index(batch_op.f("ix_application_revision_id"))
        batch_op.drop_index("ix_application_queue")
        batch_op.drop_index(batch_op.f("ix_application_continues_id"))
        batch_op.drop_index(batch_op.f("ix_application_applicant_id"))

    op.drop_table("application")
    with op.batch_alter_table("account_session", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_account_session_user_id"))

    op.drop_table("account_session")
    with op.batch_alter_table("account_role", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_account_role_user_id"))
        batch_op.drop_index(batch_op.f("ix_account_role_role"))

    op.drop_table("account_role")
    with op.batch_alter_table("account_recovery_code", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_account_recovery_code_user_id"))

    op.drop_table("account_recovery_code")
    with op.batch_alter_table("account_one_time_link", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_account_one_time_link_user_id"))

    op.drop_table("account_one_time_link")
    with op.batch_alter_table("account_api_token", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_account_api_token_user_id"))

    op.drop_table("account_api_token")
    with op.batch_alter_table("permit_type_revision", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_permit_type_revision_slug"))

    op.drop_table("permit_type_revision")
    op.drop_table("number_counter")
    with op.batch_alter_table("mail_message", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_mail_message_created_at"))

    op.drop_table("mail_message")
    op.drop_table("log_node")
    op.drop_table("log_head")
    with op.batch_alter_table("log_entry", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_log_entry_leaf_hash"))

    op.drop_table("log_entry")
    op.drop_table("holiday")
    op.drop_table("city_revision")
    op.drop_table("audit_head")
    with op.batch_alter_table("audit_event", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_audit_event_subject_id"))
        batch_op.drop_index(batch_op.f("ix_audit_event_actor_id"))
        batch_op.drop_index(batch_op.f("ix_audit_event_action"))

    op.drop_table("audit_event")
    with op.batch_alter_table("account_user", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_account_user_kind"))

    op.drop_table("account_user")
