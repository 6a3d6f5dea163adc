"""What a trusted proxy says about the client's TLS certificate."""

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CertificateRule:
    """In which headers a trusted proxy reports the client's certificate, and what the subject must hold."""

    subject_header: str = ""
    verify_header: str = ""
    subject: str = ""

    def result(self, headers: Mapping[str, str]) -> str:
        """ "verified", "other" or "none"; empty where no header is configured."""
        if not self.subject_header:
            return ""
        subject = headers.get(self.subject_header, "").strip()
        if not subject:
            return "none"
        if self.verify_header and headers.get(self.verify_header, "") != "SUCCESS":
            return "other"
        return "verified" if self.subject in _names(subject) else "other"


def _names(subject: str) -> set[str]:
    """The parts of a subject, as nginx ("CN=a,O=b\\, c"), older versions of it ("/O=b/CN=a") or a SAN ("email:a@b") write it."""
    parts = subject.split("/") if subject.startswith("/") else re.split(r"(?<!\\),", subject)
    return {part.strip().replace("\\,", ",").removeprefix("email:") for part in parts}
