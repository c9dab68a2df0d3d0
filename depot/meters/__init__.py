"""Site meters that do not push: read over MQTT and Modbus TCP, kept by the same service as what is pushed."""
