"""The convolutional network that both benchmarks on PyTorch's side train."""

from torch import nn
from torch.nn import functional as F


class Cnn(nn.Module):
    """weightlock's `cnn` with its default sizes."""

    def __init__(self, labels):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 8, 5), nn.Conv2d(8, 16, 5)
        self.fc1, self.fc2, self.fc3, self.fc4 = nn.Linear(256, 120), nn.Linear(120, 84), nn.Linear(84, 84), nn.Linear(84, labels)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1)
        return self.fc4(F.relu(self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))))
