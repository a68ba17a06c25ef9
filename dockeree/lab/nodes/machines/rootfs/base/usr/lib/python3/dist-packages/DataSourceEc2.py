"""cloud-init's Ec2 data source, told that this machine is on AWS.

An EC2 machine is known by its firmware's tables, which a system container has not. Where cloud-init does not recognise
AWS it never asks for an IMDSv2 token, and instances with `HttpTokens: required` would get no data at all. cloud-init
looks for data sources at the top level before its own package, so this module is found in place of the packaged one.
"""

# mypy: ignore-errors
# cloud-init is on the nodes, not where this project is checked.

from cloudinit import sources
from cloudinit.sources.DataSourceEc2 import CloudNames
from cloudinit.sources.DataSourceEc2 import DataSourceEc2 as PackagedDataSource


class DataSourceEc2(PackagedDataSource):
    def _get_cloud_name(self):
        return CloudNames.AWS


def get_datasource_list(depends):
    # Not the variant that first sets the network up by DHCP: the address is on eth0 before the machine has power.
    network = (sources.DEP_FILESYSTEM, sources.DEP_NETWORK)
    return sources.list_from_depends(depends, [(DataSourceEc2, network)])
