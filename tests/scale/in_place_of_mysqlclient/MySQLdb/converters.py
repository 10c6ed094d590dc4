"""What Airflow imports of mysqlclient whatever its driver is; pymysql, the driver here, has the same.

The package index has mysqlclient as source only, which needs a compiler and MariaDB's headers.
"""

from pymysql.converters import conversions as conversions
from pymysql.converters import escape_datetime as DateTime2literal

__all__ = ["DateTime2literal", "conversions"]
