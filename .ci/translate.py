"""Translates the template as CloudFormation would: SAM's own resources into those they stand for.

Usage: translate.py TEMPLATE TRANSLATED
"""

import copy
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
ORIGINS = "https://a.example,https://b.example"
CORS = ["AllowOrigins", "AllowMethods", "AllowHeaders", "ExposeHeaders", "MaxAge"]


def translate(document, parameters):
    session = boto3.Session(region_name="us-east-1")
    translator = Translator(MANAGED_POLICIES, Parser(), boto_session=session)
    return translator.translate(copy.deepcopy(document), parameters)


def check_cors(document):
    """SAM drops what it does not understand of CORS, and says nothing."""
    cors = document["Resources"]["Api"]["Properties"]["CorsConfiguration"]["Fn::If"][1]
    if sorted(cors) != sorted(CORS):
        sys.exit(f"The CORS of the template has {sorted(cors)}.")
    expected = {name[0].lower() + name[1:]: value for name, value in cors.items()}
    expected["allowOrigins"] = {"Fn::Split": [",", ORIGINS]}
    translated = translate(document, {"CorsOrigins": ORIGINS})
    body = translated["Resources"]["Api"]["Properties"]["Body"]
    without = {"Ref": "AWS::NoValue"}
    if body["x-amazon-apigateway-cors"] != {"Fn::If": ["HasCorsOrigins", expected, without]}:
        sys.exit(f"The API's CORS is translated to {body['x-amazon-apigateway-cors']}.")


def main(template, translated):
    # It logs which of its features are off in every region.
    logging.disable(logging.WARNING)
    with open(template, encoding="utf-8") as source:
        document = yaml_parse(source)
    for resource in document["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            # `sam package` puts the binaries into a bucket and their addresses here.
            resource["Properties"]["CodeUri"] = "s3://bucket/key"
    check_cors(document)
    with open(translated, "w", encoding="utf-8") as output:
        json.dump(translate(document, {}), output, indent=1)


main(*sys.argv[1:])
