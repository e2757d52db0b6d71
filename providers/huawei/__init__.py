"""Huawei Push Kit. Source: contract/providers.md 4 and 8."""

from providers.huawei.provider import HuaweiProvider

__all__ = ["HuaweiProvider"]
