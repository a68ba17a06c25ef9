"""What an instance wrote to its serial console: the only word of a node that does not answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockeree.errors import AwsError

if TYPE_CHECKING:
    from dockeree.aws.session import Aws


def console_output(aws: Aws, instance_id: str) -> str:
    """The console's last 64 KiB, decoded (botocore does that); empty where there is nothing yet.

    `Latest` asks the instance itself. Types that are not built on Nitro cannot, and EC2's copy is minutes old.
    """
    try:
        answer = aws.ec2.get_console_output(InstanceId=instance_id, Latest=True)
    except AwsError as error:
        if error.code != "UnsupportedOperation":
            raise
        answer = aws.ec2.get_console_output(InstanceId=instance_id)
    return answer.get("Output", "")
