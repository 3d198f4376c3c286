"""Label images as other programs keep them: COCO, YOLO and Cellpose."""
