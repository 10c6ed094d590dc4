"""Who may see what on the page. No other module of it uses the internals of Airflow's security."""

from __future__ import annotations

from typing import Annotated

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser as BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import AccessView, DagAccessEntity
from airflow.api_fastapi.core_api.security import get_user, requires_access_view
from fastapi import Depends

User = Annotated[BaseUser, Depends(get_user)]
"""The user of a request; 401 if there is none."""

may_see_page = Depends(requires_access_view(AccessView.PLUGINS))
"""Refuses whoever may not see the views of plugins: 401 if the user is unknown, else 403."""


def readable_dag_ids(user: BaseUser) -> set[str]:
    """Return the DAGs whose task instances a user may read. This queries Airflow's database.

    :param user: the user.
    :return: their ids.
    """
    manager = get_auth_manager()
    # Some auth managers have a separate permission for task instances, which does not depend on the DAG.
    if not manager.is_authorized_dag(method="GET", access_entity=DagAccessEntity.TASK_INSTANCE, user=user):
        return set()
    return manager.get_authorized_dag_ids(user=user, method="GET")


def readable_connections(user: BaseUser) -> set[str] | None:
    """Return the connections that a user may read. This queries Airflow's database.

    :param user: the user.
    :return: their ids; None for all, since Airflow 3.1 has no permissions for single connections.
    """
    manager = get_auth_manager()
    if hasattr(manager, "get_authorized_connections"):
        return manager.get_authorized_connections(user=user, method="GET")
    return None if manager.is_authorized_connection(user=user, method="GET") else set()
