"""The databases that loads write to: one writer each, over the connection of Airflow's hook."""
