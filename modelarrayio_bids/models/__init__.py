"""Linear models at every element: R's formulas, least squares with missing images, contrasts."""
