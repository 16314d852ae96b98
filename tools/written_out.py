"""A template as JSON, its loops written out: `python -m tools.written_out <FILE`.

This is what is built and deployed. CloudFormation could write the loops out itself, but its
transform for them is reported to refuse RetainExceptOnCreate and references to what SAM makes
(issue 139 of aws-cloudformation/cfn-language-discussion, 2778 of serverless-application-model).
And checkov reads no loops at all.
"""

import json
import sys

from local.template.intrinsics import parse

if __name__ == "__main__":
    json.dump(parse(sys.stdin.read()), sys.stdout, indent=1)
