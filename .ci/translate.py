"""Translates the template as CloudFormation would: SAM's own resources into those they stand for.

Usage: translate.py TEMPLATE TRANSLATED
"""

import json
import logging
import sys

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

# What AWS would be asked for, if there were an account: any ARN does for a lint.
MANAGED_POLICIES = {
    "AWSLambdaBasicExecutionRole": "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole",
}


def main(template, translated):
    # It logs which of its features are off in every region.
    logging.disable(logging.WARNING)
    with open(template, encoding="utf-8") as source:
        document = yaml_parse(source)
    # `sam package` puts the binaries into a bucket and their addresses here.
    document["Globals"]["Function"]["CodeUri"] = "s3://bucket/key"
    session = boto3.Session(region_name="us-east-1")
    translator = Translator(MANAGED_POLICIES, Parser(), boto_session=session)
    with open(translated, "w", encoding="utf-8") as output:
        json.dump(translator.translate(document, {}), output, indent=1)


main(*sys.argv[1:])
