"""Words of the REST API that doors need before Django is set up."""

MEDIA_TYPE = "application/problem+json"
API_PREFIX = "/api/"
