"""The SDK's console commands; they need the extra `primus-imu[cli]`, the rest of the SDK does not."""
