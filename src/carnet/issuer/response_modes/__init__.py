"""OAuth 2.0 Multiple Response Type Encoding Practices: the response modes, one file for each; the first is the default."""

from carnet.issuer.response_modes.form_post import FormPost
from carnet.issuer.response_modes.fragment import Fragment
from carnet.issuer.response_modes.jwt import Signed
from carnet.issuer.response_modes.mode import ResponseMode
from carnet.issuer.response_modes.query import Query

RESPONSE_MODES: tuple[ResponseMode, ...] = (
    Query(),
    FormPost(),
    Fragment(),
    Signed("query.jwt", Query()),
    Signed("form_post.jwt", FormPost()),
    Signed("fragment.jwt", Fragment()),
    Signed("jwt", Query()),
)
