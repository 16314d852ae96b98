"""Runs under SAM's own Python: a template comes in, and what CloudFormation would get goes out."""

import json
import sys

from samcli.lib.translate.sam_template_validator import SamTemplateValidator
from samcli.yamlhelper import yaml_parse
from samtranslator.translator.managed_policy_translator import ManagedPolicyLoader

# The template names none of AWS's managed policies, so their list is never asked for.
validator = SamTemplateValidator(
    yaml_parse(sys.stdin.read()), ManagedPolicyLoader(None), region="eu-west-1"
)
json.dump(yaml_parse(validator.get_translated_template_if_valid()), sys.stdout)
