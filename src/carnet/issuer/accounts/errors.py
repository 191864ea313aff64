"""Why a change of an account is refused: one exception for each reason."""

from typing import ClassVar

MAX_NAME = 200
"""Characters."""
MAX_ROLES = 32
MAX_ATTRIBUTES = 50


class PersonError(Exception):
    """A change that is refused; the sentence says what to do. Pages have it as `person.<key>` in their catalogues."""

    key: ClassVar[str]
    sentence: ClassVar[str]
    field: ClassVar[str | None] = None
    """The field that is to be mended, if it is one."""

    def __init__(self) -> None:
        super().__init__(self.sentence)


class EmailTakenError(PersonError):
    key = "email_taken"
    field = "email"
    sentence = "There is an account with this email address already."


class BadEmailError(PersonError):
    key = "bad_email"
    field = "email"
    sentence = "This is not an email address: give one such as name@example.com."


class BadNameError(PersonError):
    key = "bad_name"
    field = "name"
    sentence = f"A name has at most {MAX_NAME} characters, and no control characters."


class BadRoleError(PersonError):
    key = "bad_role"
    field = "roles"
    sentence = (
        "A role is 1 to 64 letters, digits or _ . : - and begins with a letter or digit; "
        f"an account has at most {MAX_ROLES}."
    )


class BadAttributeError(PersonError):
    key = "bad_attribute"
    field = "attributes"
    sentence = (
        f"An account has at most {MAX_ATTRIBUTES} attributes. A name is 1 to 64 of a-z, 0-9 and _ and begins with a letter; "
        "a value is a whole number, true or false, a printable text of at most 1000 characters, or at most 100 such texts."
    )


class UnknownPersonError(PersonError):
    key = "unknown"
    sentence = "There is no such account."


class DisabledError(PersonError):
    key = "disabled"
    sentence = "This account is disabled: enable it first."


class LastAdministratorError(PersonError):
    key = "last_administrator"
    sentence = "This is the last ADMIN who can sign in: give the role to somebody else first."


class LinkSpentError(PersonError):
    key = "link_spent"
    sentence = "This link has been used, has expired or was replaced by a newer one: ask for a new one."


class AlreadyEnrolledError(PersonError):
    key = "already_enrolled"
    sentence = "This account has a second factor already: remove that first."


class NotEnrolledError(PersonError):
    key = "not_enrolled"
    sentence = "This account has no second factor."


class WrongCodeError(PersonError):
    key = "wrong_code"
    field = "code"
    sentence = "The code is not right, or has been used: take the next one that the app shows."


class ContentionError(PersonError):
    key = "contention"
    sentence = "The account was being changed by somebody else at the same time: look at it and try again."
