"""Check whether this computer is ready for the course: one line per check, with how to fix it.

python -m tinybert_lite.doctor
"""

from __future__ import annotations

import json
from dataclasses import asdict

from tinybert_lite.classroom import doctor
from tinybert_lite.system.command import command
from tinybert_lite.system.console import say
from tinybert_lite.system.fields import Parser


@command
def main(argv: list[str]) -> int:
    parser = Parser("doctor", "Is this computer ready for the course? Exit code 0: yes.")
    parser.add_argument(
        "--workspace", help="the workspace: the folder that holds the numbered folders"
    )
    parser.switch("--json", help="print JSON")
    args = parser.parse_args(argv)
    findings = []
    for check in doctor.CHECKS:
        findings.append(check(args.workspace))
        if not args.json:
            say(str(findings[-1]))
    well = all(finding.ok for finding in findings)
    if args.json:
        found = {"ok": well, "findings": [asdict(finding) for finding in findings]}
        say(json.dumps(found, ensure_ascii=False, indent=2))
    return 0 if well else 1


if __name__ == "__main__":
    raise SystemExit(main())
