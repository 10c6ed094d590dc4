"""Read and write Airflow's Variables from an event loop.

Their API blocks, so it runs in a thread: one of asgiref's, from which Airflow finds its way back to the event loop.
"""

from __future__ import annotations


async def read_variable(key: str) -> str | None:
    """Read a Variable.

    :param key: its key.
    :return: its text; None if there is no such Variable.
    """
    from airflow.providers.common.compat.sdk import Variable
    from asgiref.sync import sync_to_async

    value = await sync_to_async(Variable.get, thread_sensitive=False)(key, None)
    return value if isinstance(value, str) else None


async def write_variable(key: str, text: str, description: str | None = None) -> None:
    """Create or change a Variable.

    :param key: its key.
    :param text: its new text.
    :param description: what it is, for people who find it in Airflow's UI.
    """
    from airflow.providers.common.compat.sdk import Variable
    from asgiref.sync import sync_to_async

    await sync_to_async(Variable.set, thread_sensitive=False)(key, text, description)
