use serde_json::json;

use super::*;

const TEMPLATE: &str = r##"
Resources:
  OtpFunction:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: !Sub "${AWS::StackName}-otp"
      Policies:
        - Statement:
            - Effect: Allow
              Action: [dynamodb:UpdateItem, dynamodb:PutItem]
              Resource: !GetAtt OtpTable.Arn
              Condition:
                ForAllValues:StringLike:
                  dynamodb:LeadingKeys: [TOKEN#*, SOURCE#*]
            - Effect: Allow
              Action: dynamodb:Query
              Resource: [!GetAtt UsersTable.Arn, !Sub "${UsersTable.Arn}/index/by_joined"]
            - !If
              - Anything
              - { Effect: Allow, Action: s3:GetObject, Resource: !Sub "${KycBucket.Arn}/*" }
              - !Ref AWS::NoValue
            - { Effect: Allow, Action: sns:Publish, Resource: "*" }
            - { Effect: Deny, Action: sns:Publish, Resource: !Sub "arn:${AWS::Partition}:sns:*:*:*" }
            - Effect: Allow
              Action: ses:SendEmail
              Resource: !Sub "arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:identity/${EmailSender}"
              Condition: { StringEquals: { ses:FromAddress: !Ref EmailSender } }
            - { Effect: Deny, Action: logs:*, NotResource: !GetAtt OtpLogs.Arn }
"##;

fn read(template: &str) -> Result<Permissions, PermissionError> {
    Permissions::read(Function::Otp, &serde_yaml_ng::from_str(template).unwrap())
}

fn access(action: &str, resource: &str, keys: &[&str]) -> Access {
    let keys = keys.iter().map(|key| (*key).to_owned()).collect();
    Access { action: action.to_owned(), resource: resource.to_owned(), keys }
}

#[test]
fn what_is_not_granted_is_denied() {
    let permissions = read(TEMPLATE).unwrap();
    let used = Used::default();
    let may = |access: Access| permissions.allow(&[access], &used).is_ok();
    assert!(may(access("dynamodb:UpdateItem", "otp", &["TOKEN#1", "SOURCE#2"])));
    assert!(!may(access("dynamodb:UpdateItem", "otp", &["TOKEN#1", "LOGIN#2"])));
    assert!(!may(access("dynamodb:UpdateItem", "otp", &[])));
    assert!(!may(access("dynamodb:DeleteItem", "otp", &["TOKEN#1"])));
    assert!(!may(access("dynamodb:UpdateItem", "users", &["TOKEN#1"])));
    assert!(may(access("dynamodb:Query", "users/index/by_joined", &["1"])));
    assert!(!may(access("dynamodb:Query", "users/index/other", &["1"])));
    assert!(may(access("s3:GetObject", "bucket/*", &[])));
    assert!(!may(access("s3:DeleteObject", "bucket/*", &[])));
    assert!(may(access("sns:Publish", "", &[])));
    assert!(!may(access("sns:Publish", "arn:aws:sns:us-east-1:1:topic", &[])));
    assert!(!may(access("sns:Subscribe", "", &[])));
    assert!(may(access("ses:SendEmail", "identity/${EmailSender}", &["${EmailSender}"])));
    assert!(!may(access("ses:SendEmail", "identity/${EmailSender}", &["another@local.example"])));
    assert!(!may(access("ses:SendEmail", "identity/${Domain}", &["${EmailSender}"])));
    let seen = lock(&used.seen).clone();
    let expected = [
        "otp dynamodb:Query users/index/by_joined",
        "otp dynamodb:UpdateItem otp TOKEN#*",
        "otp s3:GetObject bucket/*",
        "otp ses:SendEmail identity/${EmailSender} ${EmailSender}",
        "otp sns:Publish *",
    ];
    assert_eq!(seen, expected.map(str::to_owned).into());
    assert_eq!(permissions.lines().len(), 4 + 2 + 1 + 1 + 1);
}

#[test]
fn what_cannot_be_evaluated_is_an_error() {
    for (whole, part) in [
        ("ForAllValues:StringLike", "ForAnyValue:StringLike"),
        ("dynamodb:LeadingKeys", "dynamodb:Attributes"),
        ("!GetAtt OtpTable.Arn", "\"*\""),
        (
            "Effect: Allow\n              Action: dynamodb:Query",
            "Effect: Deny\n              Action: dynamodb:Query",
        ),
        ("ses:FromAddress", "ses:FromDisplayName"),
        ("Action: sns:Publish, Resource: \"*\"", "Action: ses:SendEmail, Resource: \"*\""),
    ] {
        let template = TEMPLATE.replacen(whole, part, 1);
        assert_ne!(template, TEMPLATE, "{whole}");
        assert!(read(&template).is_err(), "{part}");
    }
}

#[test]
fn patterns_are_those_of_iam() {
    assert!(matches("USER#*", "USER#1") && matches("*", "") && matches("a*b*c", "a1b2b3c"));
    assert!(matches("??/*", "ab/c") && !matches("??/*", "abc/") && !matches("USER#*", "USER"));
}

#[test]
fn a_transaction_asks_for_each_of_its_parts() {
    let tables = crate::tables::Table::all().unwrap();
    let schema = Schema::new(&tables, "t-", None);
    let body = json!({"TransactItems": [
        {"Put": {"TableName": "t-users", "Item": {"pk": {"S": "USER#1"}, "a": {"S": "b"}}}},
        {"ConditionCheck": {"TableName": "t-wallets", "Key": {"user_id": {"S": "1"}, "sk": {"S": "BALANCE"}}}},
    ]});
    let expected = [
        access("dynamodb:PutItem", "users", &["USER#1"]),
        access("dynamodb:ConditionCheckItem", "wallets", &["1"]),
    ];
    assert_eq!(schema.of_dynamodb("TransactWriteItems", &body), expected);
    let query = json!({
        "TableName": "t-users",
        "IndexName": "by_joined",
        "KeyConditionExpression": "#pk = :pk AND #sk < :sk",
        "ExpressionAttributeNames": {"#pk": "joined_shard", "#sk": "user_id"},
        "ExpressionAttributeValues": {":pk": {"S": "2"}, ":sk": {"S": "1"}},
    });
    let expected = [access("dynamodb:Query", "users/index/by_joined", &["2"])];
    assert_eq!(schema.of_dynamodb("Query", &query), expected);
}
